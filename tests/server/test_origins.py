"""Which pages may ask."""

import pytest

from callboard import InvalidValue
from callboard.server.origins import Origins

HERE, NEAR, FAR = "http://api.local", "http://localhost:3000", "https://example.org"


@pytest.mark.parametrize(
    ("chosen", "authenticated", "allowed"),
    [
        (None, False, {NEAR, HERE, None}),
        (None, True, {NEAR, FAR, HERE, None}),
        (["*"], False, {NEAR, FAR, HERE, None}),
        ("*", False, {NEAR, FAR, HERE, None}),
        ([FAR], False, {FAR, HERE, None}),
        ([], False, {NEAR, FAR, HERE, None}),
    ],
)
def test_a_page_may_ask_where_it_is_known(chosen, authenticated, allowed):
    origins = Origins(chosen, authenticated=authenticated)

    asked = {origin for origin in (NEAR, FAR, HERE, None) if origins.may_ask(origin, "api.local")}

    assert asked == allowed


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost:2024", True),
        ("127.0.0.1", True),
        ("[::1]:2024", True),
        ("evil.org:2024", False),
        ("localhost.evil.org", False),
        ("[::1", False),
        (None, False),
    ],
)
def test_a_page_that_has_its_own_name_lead_here_may_not(host, known):
    origins = Origins(None, authenticated=False, hosts=("localhost", "127.0.0.1", "::1"))

    assert origins.answers_to(host) is known
    assert Origins(None, authenticated=False).answers_to(host)


@pytest.mark.parametrize(
    "origin", ["null", "http://localhost.evil.org", "http://evil.org/localhost"]
)
def test_a_page_that_only_looks_near_may_not(origin):
    assert not Origins(None, authenticated=False).may_ask(origin, "127.0.0.1:2024")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"chosen": FAR}, "cors_origins"),
        ({"chosen": None, "hosts": "localhost"}, "hosts"),
    ],
)
def test_one_text_is_no_list_of_origins_or_hosts(options, name):
    with pytest.raises(InvalidValue, match=f"{name} is .*: give a list"):
        Origins(**options, authenticated=False)
