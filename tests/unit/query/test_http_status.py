from __future__ import annotations

import pytest

from logstreamd.query.http_status import status_name


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "400_BAD_REQUEST"),
        (401, "401_UNAUTHORIZED"),
        (403, "403_FORBIDDEN"),
        (404, "404_NOT_FOUND"),
        (408, "408_REQUEST_TIMEOUT"),
        (413, "413_CONTENT_TOO_LARGE"),
        (422, "422_UNPROCESSABLE_CONTENT"),
        (429, "429_TOO_MANY_REQUESTS"),
        (499, "499_CLIENT_CLOSED_REQUEST"),
        (500, "500_INTERNAL_ERROR"),
        (502, "502_BAD_GATEWAY"),
        (503, "503_SERVICE_UNAVAILABLE"),
        (504, "504_GATEWAY_TIMEOUT"),
        (524, "524_TIMEOUT_OCCURRED"),
        (455, "455_CLIENT_ERROR"),
        (599, "599_SERVER_ERROR"),
        (None, "WITHOUT_STATUS"),
    ],
)
def test_a_status_has_the_name_that_is_registered_or_in_use(status: int | None, name: str) -> None:
    assert status_name(status) == name
