"""The Celery application: `celery -A scaledash.celery worker -Q refit,import`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scaledash.settings")
app = Celery("scaledash")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
