"""Texts that somebody names a run, a metric, a tag or a study, to see what the server does."""

from __future__ import annotations

MARKUP = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    '"><script>alert(1)</script>',
    "'-alert(1)-'",
    '" autofocus onfocus="alert(1)',
    "<a href='javascript:alert(1)'>x</a>",
    '<a href="https://evil.example/">x</a>',
    "</script><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "<iframe src=https://evil.example></iframe>",
    "<b>bold</b><br><sub>x</sub>",
    "<!--<script>alert(1)</script>",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
    "javascript:alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<style>body{display:none}</style>",
    "<meta http-equiv=refresh content=0;url=https://evil.example>",
    "<base href=https://evil.example/>",
)
TEMPLATES = (
    "%{x}",
    "%{customdata[0]}<extra></extra>",
    "{{7*7}}",
    "{% debug %}",
    "${alert(1)}",
    "#{7*7}",
    "%s %d %(x)s",
    "{0.__class__}",
)
KEYS = ("__proto__", "constructor", "prototype.polluted", "toString", "hasOwnProperty")
ODD = (
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "C:\\windows\\system32",
    "'; DROP TABLE runs_run; --",
    "' OR 1=1 --",
    "\U0001f680\U0001f9ea loss \u2192 0",
    "\u0645\u0631\u062d\u0628\u0627 loss",
    "\u65e5\u672c\u8a9e",
    "e\u0301\u0301\u0301\u0301",
    "x" * 256,
    "a  b",
    "null",
    "NaN",
    "-1",
)
NAMES = MARKUP + TEMPLATES + KEYS + ODD
FORMULAS = ("=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =cmd|'/c calc'!A1", "\uff1d1+1")
# Not stored at all: they would break terminals, sorting or every later answer.
REFUSED = ("nul\x00", "bell\x07", "rtl \u202e over", "isolate \u2066 over", "x" * 257, "")
