"""Academics and attendance as they are started, for faults of time."""

from tests.integration.attendance.test_closing_process import jwks_url, key, settings_of  # noqa: F401 -- fixtures
