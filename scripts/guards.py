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
        "T9: names hold no marks that turn text around",
        "runs/validation.py",
        'in ("Cc", "Cs") or char in _BIDI for',
        'in ("Cs",) for',
        ("tests/runs/test_malformed.py",),
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
        "T12: numbers fit a float",
        "teams/api/bodies.py",
        "if isinstance(value, int | float) and not _fits_float(value):",
        "if isinstance(value, bool) and not _fits_float(value):",
        ("tests/teams/test_front_door.py", "-k", "t12"),
    ),
    Guard(
        "T13: text holds no NUL",
        "teams/api/bodies.py",
        '        if "\\x00" in value:',
        '        if "\\x00\\x00\\x00" in value:',
        ("tests/teams/test_front_door.py", "-k", "t13"),
    ),
    Guard(
        "T14: a key stands once",
        "teams/api/bodies.py",
        "    if len(found) == len(pairs):",
        "    if pairs:",
        ("tests/teams/test_front_door.py", "-k", "t14"),
    ),
    Guard(
        "T15: what is not finite leaves as text",
        "scaledash/lib/jsonsafe.py",
        "    if math.isfinite(value):\n        return value\n    if math.isnan(value):",
        "    if not math.isinf(value):\n        return value\n    if math.isnan(value):",
        ("tests/security/test_promises_of_ingest.py", "-k", "t15"),
    ),
    Guard(
        "T16: a key of a batch carries one body",
        "runs/ingest.py",
        "    if stored not in (None, digest):",
        "    if stored is digest is None:",
        ("tests/security/test_promises_of_ingest.py", "-k", "t16"),
    ),
    Guard(
        "T17: clocks of training machines are clamped",
        "runs/packing.py",
        "np.clip(column.times, EARLIEST_SECONDS, now + DAY_SECONDS)",
        "np.maximum(column.times, EARLIEST_SECONDS)",
        ("tests/security/test_promises_of_ingest.py", "-k", "t17"),
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
        "T20: a page of a list is bounded",
        "teams/api/paging.py",
        "return min(int(text), settings.MAX_PAGE_SIZE)",
        "return int(text)",
        ("tests/security/test_reads.py", "-k", "t20 and list"),
    ),
    Guard(
        "T20: a statement takes seconds at most",
        "scaledash/settings.py",
        "-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s ",
        "",
        ("tests/security/test_reads.py", "-k", "t20 and connection"),
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
        "T23: addresses come from the base URL",
        "scaledash/middleware.py",
        "    if settings.SCALEDASH_BASE_URL:\n        return",
        "    if settings.DEBUG:\n        return",
        ("tests/scaledash/test_errors.py", "-k", "t23"),
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
        "T27: nothing unpickles what users send",
        "runs/export.py",
        "import csv\nimport io\n",
        "import io\nimport pickle\nimport csv\n",
        ("tests/security/test_static.py", "-k", "t27"),
    ),
    Guard(
        "T28: nothing else calls out",
        "runs/queries.py",
        "import annotations\n",
        "import annotations, division\nimport urllib.request\n",
        ("tests/security/test_static.py", "-k", "t28"),
    ),
    Guard(
        "T29: messages are JSON",
        "scaledash/settings.py",
        'CELERY_ACCEPT_CONTENT = ["json"]',
        'CELERY_ACCEPT_CONTENT = ["json", "pickle"]',
        ("tests/security/test_static.py", "-k", "t29"),
    ),
    Guard(
        "T30: the application is no superuser",
        "scaledash/embedded/postgres.py",
        'rights = ("--no-superuser", ',
        'rights = ("--superuser", ',
        ("tests/security/test_network.py", "-k", "t30"),
    ),
    Guard(
        "T31: browsers are told to stay with TLS",
        "scaledash/settings.py",
        "SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0",
        "SECURE_HSTS_SECONDS = 0",
        ("tests/scaledash/test_checks.py", "-k", "t31"),
    ),
    Guard(
        "T32: no text becomes code",
        "runs/conditions.py",
        '    operator = "=" if node.operator == "in" else node.operator\n',
        "    operator = eval(repr(node.operator))\n",
        ("tests/security/test_static.py", "-k", "t32"),
    ),
    Guard(
        "T33: patterns are short",
        "runs/conditions.py",
        "    if len(pattern) > MAX_PATTERN_LENGTH:",
        "    if len(pattern) > 100 * MAX_PATTERN_LENGTH:",
        ("tests/security/test_reads.py", "-k", "t33 and short"),
    ),
    Guard(
        "T33: a bad pattern is a refusal",
        "runs/conditions.py",
        "    except DataError as error:\n        reason",
        "    except KeyError as error:\n        reason",
        ("tests/security/test_reads.py", "-k", "t33 and bad"),
    ),
    Guard(
        "T34: the cause of a failure stays here",
        "teams/api/errors.py",
        '    message = "The server could not answer; the cause is in its log under this id."\n',
        "    message = repr(error)\n",
        ("tests/scaledash/test_errors.py", "-k", "t34"),
    ),
    Guard(
        "T35: packages run nothing when they are installed",
        "scripts/bootstrap.py",
        '"ci", "--ignore-scripts", ',
        '"ci", ',
        ("tests/security/test_static.py", "-k", "t35"),
    ),
    Guard(
        "audit: entries are never changed",
        "teams/migrations/0003_audit_log.py",
        "BEFORE UPDATE OR DELETE ON",
        "BEFORE UPDATE OF id ON",
        ("tests/teams/test_audit.py", "-k", "refuses_to_change"),
    ),
)
