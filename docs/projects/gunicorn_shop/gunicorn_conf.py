# gunicorn_conf.py
import telemetry


def post_fork(server, worker):
    telemetry.start()
