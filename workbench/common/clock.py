"""The time of day, read here alone. It may jump back and forth, so waits and durations are by `time.monotonic`."""

from datetime import UTC, datetime, timedelta


def present() -> datetime:
    """This moment, UTC."""
    return datetime.now(UTC)


def now() -> str:
    """This moment as UTC ISO 8601 with microseconds, which sorts as text."""
    return after()


def after(**time: float) -> str:
    """`now` so many days, minutes or other units of timedelta from now."""
    return (present() + timedelta(**time)).isoformat(timespec="microseconds")


def to_the_second() -> str:
    """This moment as UTC ISO 8601, for people to read."""
    return present().isoformat(timespec="seconds")
