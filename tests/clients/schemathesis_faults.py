"""A check for Schemathesis: where the document gives a 500 a meaning, it also says in which words."""

import schemathesis

# What the server says of a fault of its own, which the document cannot leave out.
FAULT = "Internal server error"


def told(responses: dict) -> set:
    """The messages with which an operation may answer 500."""
    content = responses.get("500", {}).get("content", {})
    parts = content.get("application/json", {}).get("schema", {}).get("allOf", [])
    words = [part.get("properties", {}).get("message", {}).get("enum", []) for part in parts]
    return {word for enum in words for word in enum} - {FAULT}


@schemathesis.check
def a_500_is_told(ctx, response, case):
    if response.status_code == 500:
        message = response.json()["message"]
        assert message in told(case.operation.definition.raw["responses"]), f"a fault: {message}"
