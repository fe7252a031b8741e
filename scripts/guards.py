"""The guards of the threat model: where each stands, how it is taken away, which test must fail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    """One defence: `before` in `path` becomes `after`, and then `tests` may not pass."""

    threat: str
    path: str
    before: str
    after: str
    tests: tuple[str, ...]


GUARDS = (
    Guard(
        "T1: a revoked token is nobody",
        "teams/store.py",
        "t.key = %(key)s AND t.revoked_at IS NULL AND u.is_active",
        "t.key = %(key)s AND u.is_active",
        ("tests/teams/test_tokens.py", "-k", "revoked"),
    ),
    Guard(
        "T2: projects are those of the one who asks",
        "teams/models.py",
        "mine = self.filter(deleted_at=None, memberships__user_id=principal.user_id)",
        "mine = self.filter(deleted_at=None)",
        ("tests/teams/test_project_api.py",),
    ),
    Guard(
        "T3: a token does what its scope says",
        "teams/api/auth.py",
        "if needed is not None and not principal.allows(needed):",
        "if needed is None and not principal.allows(needed):",
        ("tests/teams/test_sharing_api.py", "-k", "t03"),
    ),
    Guard(
        "T4: unknown fields are refused",
        "teams/api/fields.py",
        "        if unknown:",
        "        if unknown and not data:",
        ("tests/teams/test_sharing_api.py", "-k", "t04"),
    ),
    Guard(
        "T5: a revoked link shows nothing",
        "teams/sharing.py",
        "Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)",
        "Q(expires_at=None) | Q(expires_at__gt=now))",
        ("tests/security/test_shares.py", "-k", "dead"),
    ),
    Guard(
        "T5: a shared page leads nowhere else",
        "teams/sealing.py",
        'return _ADDRESS.sub(move, _FORM.sub("", html))',
        "return html",
        ("tests/security/test_shares.py", "-k", "crawl"),
    ),
    Guard(
        "T6: names are escaped",
        "templates/teams/_token_table.html",
        "{{ token.name }}</th>",
        "{{ token.name|safe }}</th>",
        ("tests/teams/test_settings_pages.py", "-k", "t06"),
    ),
    Guard(
        "T7: links of notes say nothing of the reader",
        "scaledash/lib/markdown.py",
        "link_rel=LINK_REL",
        "link_rel=None",
        ("tests/scaledash/test_markdown.py", "-k", "t07 and nobody"),
    ),
    Guard(
        "T8: a cell of a spreadsheet computes nothing",
        "runs/export.py",
        "if start.startswith(FORMULA_SIGNS) else value",
        "if not value else value",
        ("tests/security/test_reads.py", "-k", "t08"),
    ),
    Guard(
        "T10: what a body unpacks to is bounded",
        "teams/api/bodies.py",
        "        if size > limit:",
        "        if size > 1000 * limit:",
        ("tests/teams/test_front_door.py", "-k", "t10 and beyond"),
    ),
    Guard(
        "T11: JSON is not deep",
        "teams/api/bodies.py",
        "if depth >= settings.MAX_JSON_DEPTH:",
        "if depth >= 10 * settings.MAX_JSON_DEPTH:",
        ("tests/teams/test_front_door.py", "-k", "t11"),
    ),
    Guard(
        "T18: a project holds so many runs",
        "runs/services.py",
        "    _check_quota(project)\n    now",
        "    now",
        ("tests/security/test_promises_of_ingest.py", "-k", "t18 and leaves_others"),
    ),
    Guard(
        "T19: passwords cannot be tried for ever",
        "teams/limiter.py",
        "if len(times) <= settings.LOGIN_FAILURES_ALLOWED:",
        "if len(times) <= 100 * settings.LOGIN_FAILURES_ALLOWED:",
        ("tests/teams/test_signin.py", "-k", "t19 and sixth"),
    ),
    Guard(
        "T21: a form brings its CSRF token",
        "scaledash/settings.py",
        '    "django.middleware.csrf.CsrfViewMiddleware",\n',
        "",
        ("tests/teams/test_signin.py", "-k", "t21"),
    ),
    Guard(
        "T22: no page is framed",
        "scaledash/middleware.py",
        "frame-ancestors 'none'",
        "frame-ancestors *",
        ("tests/scaledash/test_headers.py", "-k", "t22"),
    ),
    Guard(
        "T24: signing in leads to this server only",
        "teams/signin.py",
        "return wanted if allowed else settings.LOGIN_REDIRECT_URL",
        "return wanted or settings.LOGIN_REDIRECT_URL",
        ("tests/teams/test_signin.py", "-k", "t24"),
    ),
    Guard(
        "T25: a password set by link ends every session",
        "teams/accounts.py",
        '    user.save(update_fields=["password"])\n    Session.objects.filter(user=user).delete()',
        '    User.objects.filter(pk=user.pk).update(first_name="x")',
        ("tests/teams/test_accounts.py", "-k", "t25"),
    ),
    Guard(
        "T26: tokens are not logged",
        "scaledash/lib/logs.py",
        'r"sd_[A-Za-z0-9]+_[A-Za-z0-9_-]+"',
        'r"sd_nothing"',
        ("tests/scaledash/test_logs.py", "-k", "t26"),
    ),
    Guard(
        "T28: webhooks reach public addresses only",
        "fitting/alerts/sending.py",
        "    if not found.is_global or",
        "    if found is None or",
        ("tests/security/test_hook_addresses.py", "-k", "leads_inside"),
    ),
    Guard(
        "T28: every address of a name is looked at",
        "fitting/alerts/sending.py",
        "    for name in names:",
        "    for name in names[:1]:",
        ("tests/security/test_hook_addresses.py", "-k", "one_private_address"),
    ),
    Guard(
        "T33: patterns are short",
        "runs/conditions.py",
        "    if len(pattern) > MAX_PATTERN_LENGTH:",
        "    if len(pattern) > 100 * MAX_PATTERN_LENGTH:",
        ("tests/security/test_reads.py", "-k", "t33 and short"),
    ),
    Guard(
        "audit: entries are never changed",
        "teams/migrations/0003_audit_log.py",
        "BEFORE UPDATE OR DELETE ON",
        "BEFORE UPDATE OF id ON",
        ("tests/teams/test_audit.py", "-k", "refuses_to_change"),
    ),
)
