"""Backup and restore of the real database."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from teams.models import Project
from tests.teams.factories import make_project

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_backup_brings_back_what_was_there(tmp_path: Path) -> None:
    kept = make_project()
    target = tmp_path / "backup.dump"
    call_command("backup", str(target))
    Project.objects.filter(pk=kept.pk).delete()
    call_command("restore", str(target), "--yes")
    assert Project.objects.get(pk=kept.pk).slug == kept.slug
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    with pytest.raises(CommandError, match="exists; choose another name"):
        call_command("backup", str(target))
    assert target.read_text() == "mine"


def test_a_backup_that_fails_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="could not be written"):
        call_command("backup", str(tmp_path / "absent" / "backup.dump"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_backup_changes_nothing(tmp_path: Path) -> None:
    kept = make_project()
    target = tmp_path / "letter.txt"
    target.write_text("dear all")
    with pytest.raises(CommandError, match="nothing was changed"):
        call_command("restore", str(target), "--yes")
    assert Project.objects.filter(pk=kept.pk).exists()


def test_a_restore_without_a_person_wants_a_yes(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="say --yes"):
        call_command("restore", str(tmp_path / "backup.dump"))
