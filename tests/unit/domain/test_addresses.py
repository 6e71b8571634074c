"""Which addresses users may make the server call."""

import pytest

from wellhead.domain.addresses import is_public, wrong_with


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104  # nothing binds here
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.0.9",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.7",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "localhost",
        "",
    ],
)
def test_what_is_not_on_the_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_what_is_on_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/", "must begin with http"),
        ("file:///etc/passwd", "must begin with http"),
        ("http://", "must begin with http"),
        ("http://user:secret@example.com/", "user name or a password"),
        ("http://user@example.com/", "user name or a password"),
        ("http://example.com:0/", "port 0"),
        ("http://example.com:22/", "80, 443, or 1024"),
        ("http://example.com:99999/", "no URL"),
        ("http://[::1/", "no URL"),
    ],
)
def test_a_url_that_is_no_endpoint_says_why(url: str, reason: str) -> None:
    assert reason in (wrong_with(url, any_port=False) or "")


@pytest.mark.parametrize("port", ["", ":80", ":443", ":1024", ":8443"])
def test_usual_ports_may_be_called(port: str) -> None:
    assert wrong_with(f"https://example.com{port}/x", any_port=False) is None


def test_any_port_may_be_called_where_private_addresses_may() -> None:
    assert wrong_with("http://example.com:22/", any_port=True) is None
