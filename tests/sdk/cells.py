"""What is asked in each cell of the matrix of SDKs, and what has to come of it.

The fake provider answers by directives within the text, so that no cell depends on another, and all of them
can run at the same time: `echo=request` has it answer with the request that it got.
"""

import concurrent.futures
import itertools
import json
import os
import pathlib
import subprocess
import traceback

import others
from conftest import png, tokens
from judges import EARLIER, RESULT, SAMPLE, SYSTEM, TOOLS, Ask, Forecast
from judges.anthropic_messages import Messages
from judges.bedrock import Converse
from judges.cohere_chat import Chat as Cohere
from judges.gemini import GenerateContent
from judges.openai_family import Azure, Chat, LangChain, Responses

JUDGES = {judge.name: judge for judge in [Chat, Responses, Azure, LangChain, Messages, Converse, GenerateContent, Cohere]}
NODE_JUDGES = {"node openai": "openai", "node openai responses": "openai", "node anthropic": "anthropic"}
WAYS = ["whole", "stream"]
CASES = ["text", "tools", "schema", "images", "errors"]

# The kinds of providers: what is configured, and whose words they speak.
PROVIDERS = {
    "openai": ('kind = "openai"\nbase_url = "{fake}/v1"\napi_key = "k"', "openai"),
    "responses": ('kind = "openai"\napi = "responses"\nbase_url = "{fake}/v1"\napi_key = "k"', "openai"),
    "compatible": ('kind = "openai-compatible"\nbase_url = "{fake}/v1"\napi_key = "k"', "openai"),
    "azure": ('kind = "azure-openai"\napi_version = "2024-10-21"\nbase_url = "{fake}"\napi_key = "k"', "openai"),
    "anthropic": ('kind = "anthropic"\nbase_url = "{fake}"\napi_key = "k"', "anthropic"),
    "gemini": ('kind = "gemini"\nbase_url = "{fake}"\napi_key = "k"', "gemini"),
    "cohere": ('kind = "cohere"\nbase_url = "{fake}"\napi_key = "k"', "cohere"),
    "bedrock": (
        'kind = "bedrock"\nregion = "eu-central-1"\nbase_url = "{fake}"\naccess_key_id = "AKID"\nsecret_access_key = "k"',
        "bedrock",
    ),
}
# Every cell: SDK, provider, way, case.
CELLS = [*itertools.product([*JUDGES, *NODE_JUDGES], PROVIDERS, WAYS, CASES), *others.CELLS]

WORDS = "the ship holds her course"
CACHED = 11
PICTURE = png()
LINK = "https://images.test/hull.png"
# Bedrock takes pictures from the request or from S3 only.
WITHOUT_LINKS = {"bedrock"}

# What a provider's status becomes: the exception that each family's SDK raises, and the status it has seen.
# A provider that refuses the gateway's own credentials is the gateway's trouble, never the caller's.
ERRORS = {
    "openai": {
        400: ("BadRequestError", 400),
        401: ("InternalServerError", 502),
        403: ("InternalServerError", 502),
        404: ("NotFoundError", 404),
        409: ("ConflictError", 409),
        413: ("APIStatusError", 413),
        422: ("UnprocessableEntityError", 422),
        429: ("RateLimitError", 429),
        500: ("InternalServerError", 500),
        503: ("InternalServerError", 503),
        529: ("InternalServerError", 503),
    },
    "anthropic": {
        400: ("BadRequestError", 400),
        401: ("InternalServerError", 502),
        403: ("InternalServerError", 502),
        404: ("NotFoundError", 404),
        409: ("ConflictError", 409),
        413: ("ContentTooLargeError", 413),
        422: ("UnprocessableEntityError", 422),
        429: ("RateLimitError", 429),
        500: ("InternalServerError", 500),
        503: ("OverloadedError", 529),
        529: ("OverloadedError", 529),
    },
    "gemini": {
        400: ("ClientError", 400),
        401: ("ServerError", 502),
        403: ("ServerError", 502),
        404: ("ClientError", 404),
        409: ("ClientError", 409),
        413: ("ClientError", 413),
        422: ("ClientError", 422),
        429: ("ClientError", 429),
        500: ("ServerError", 500),
        503: ("ServerError", 503),
        529: ("ServerError", 503),
    },
    "cohere": {
        400: ("BadRequestError", 400),
        401: ("ServiceUnavailableError", 503),
        403: ("ServiceUnavailableError", 503),
        404: ("NotFoundError", 404),
        409: ("ApiError", 409),
        413: ("BadRequestError", 400),
        422: ("UnprocessableEntityError", 422),
        429: ("TooManyRequestsError", 429),
        500: ("InternalServerError", 500),
        503: ("ServiceUnavailableError", 503),
        529: ("ServiceUnavailableError", 503),
    },
    "bedrock": {
        400: ("ValidationException", 400),
        401: ("ServiceUnavailableException", 503),
        403: ("ServiceUnavailableException", 503),
        404: ("ResourceNotFoundException", 404),
        409: ("ConflictException", 409),
        413: ("ValidationException", 400),
        422: ("ValidationException", 400),
        429: ("ThrottlingException", 429),
        500: ("InternalServerException", 500),
        503: ("ServiceUnavailableException", 503),
        529: ("ServiceUnavailableException", 503),
    },
}
# The gateway's own refusals: of a stranger, of an unknown model, of a body that is too large.
OURS = {
    "openai": [("AuthenticationError", 401), ("NotFoundError", 404)],
    "anthropic": [("AuthenticationError", 401), ("NotFoundError", 404)],
    "gemini": [("ClientError", 401), ("ClientError", 404)],
    "cohere": [("UnauthorizedError", 401), ("NotFoundError", 404)],
    "bedrock": [("ClientError", 403), ("ResourceNotFoundException", 404)],
}
# Between two that speak the same dialect a provider's error passes as it is.
AS_IT_IS = {
    ("anthropic", 503): ("ServiceUnavailableError", 503),
    ("anthropic", 529): ("OverloadedError", 529),
    ("openai", 529): ("InternalServerError", 529),
    ("gemini", 529): ("ServerError", 529),
    ("cohere", 409): ("ApiError", 409),
    ("cohere", 413): ("ApiError", 413),
    ("cohere", 529): ("ApiError", 529),
    ("bedrock", 409): ("ValidationException", 409),
    ("bedrock", 413): ("ValidationException", 413),
    ("bedrock", 422): ("ValidationException", 422),
    ("bedrock", 529): ("ServiceUnavailableException", 529),
}


def config(fake):
    """A provider and a model for each kind; nothing is tried twice, so that every error is seen."""
    section = "[providers.p-{name}]\n{options}\n[models.{name}]\ntargets = [\"p-{name}/{name}\"]\n"
    sections = [
        section.format(name=name, options=options.format(fake=fake)) for name, (options, _) in PROVIDERS.items()
    ]
    counted = [(others.retry_model(at[0], at[1]), at[1]) for at in others.CELLS if at[3] == "retries"]
    sections += [f'[models.{model}]\ntargets = ["p-{provider}/{model}"]\n' for model, provider in counted]
    return "[resilience.retries]\nmax_attempts = 1\n" + "\n".join(sections)


def expected(judge, provider, status):
    """What the SDK raises for a provider's status."""
    same = judge.family == PROVIDERS[provider][1] and is_direct(judge.name, provider)
    found = AS_IT_IS.get((judge.family, status)) if same else None
    return found or ERRORS[judge.family][status]


def is_direct(judge, provider):
    """Whether the provider gets the caller's own bytes: of OpenAI's two dialects, only its own."""
    if PROVIDERS[provider][1] != "openai":
        return True
    return ("responses" in judge) == (provider == "responses")


def text(judge, provider, stream):
    """The words, why they ended, and tokens by the provider's count over all that was said to it."""
    ask = Ask(f"words? [[fake:cached_tokens={CACHED},reasoning_tokens=3,output_tokens=5]]")
    answer = judge.ask(provider, ask, stream)
    assert answer.text == WORDS, answer
    assert answer.stop == "end", answer
    said = [SYSTEM, *(words for _, words in EARLIER), ask.text]
    assert answer.tokens == (tokens(*said) + CACHED, 5 + 3), answer


def tools(judge, provider, stream):
    """Two tools at the same time, and their results on the way back."""
    ask = Ask("weather? [[fake:tool=" + "+".join(TOOLS) + "]]", tools=True)
    asked = judge.ask(provider, ask, stream)
    assert asked.calls == [(name, SAMPLE) for name in TOOLS], asked
    assert asked.stop == "tools", asked
    told = Ask("weather? [[fake:echo=request]]", tools=True)
    answer = judge.go_on(provider, told, asked, stream)
    seen = json.loads(answer.text)
    assert answer.text.count(RESULT) == 2, seen
    assert answer.stop == "end", answer


def schema(judge, provider, stream):
    """An answer by a schema, which the fake provider makes up from the one that it got."""
    found = judge.forecast(provider, "forecast?", stream)
    assert found == Forecast(**SAMPLE), found


def images(judge, provider, stream):
    """A picture in the request, and one by its URL where the dialects have that."""
    answer = judge.ask(provider, Ask("what is it? [[fake:echo=request]]", pictures=(PICTURE,)), stream)
    # Google's SDK sends the alphabet for URLs, which only Google's own API reads.
    spelt = {PICTURE, PICTURE.replace("+", "-").replace("/", "_")} if judge.family == provider else {PICTURE}
    assert any(picture in answer.text for picture in spelt), answer.text
    if judge.family == "bedrock":
        return
    link = Ask("what is it? [[fake:echo=request]]", pictures=(LINK,))
    if provider in WITHOUT_LINKS:
        assert raised(judge, lambda: judge.ask(provider, link, stream)) == ERRORS[judge.family][400]
    else:
        assert LINK in judge.ask(provider, link, stream).text


def errors(judge, provider, stream):
    """Every status raises the SDK's own class, and a stream that breaks is not taken for a whole one."""
    # After a 429 the next call waits, and on a slow machine so long that its stream begins before it fails.
    for status in [400, 529, 429] if stream else ERRORS[judge.family]:
        ask = Ask(f"fail [[fake:status={status}]]")
        found = raised(judge, lambda ask=ask: judge.ask(provider, ask, stream))
        assert found == expected(judge, provider, status), f"{status}: {found}"
    if stream:
        for fault in ["error_after_tokens=3", "cut_after_bytes=2500,chunks=100"]:
            assert judge.broken(provider, f"break [[fake:{fault}]]") > 1, fault
        return
    stranger, unknown = OURS[judge.family]
    found = raised(judge, lambda: judge.ask(provider, Ask("hi"), stream, judge.stranger))
    assert found == stranger, f"a stranger: {found}"
    found = raised(judge, lambda: judge.ask("no-such-model", Ask("hi"), stream))
    assert found == unknown, f"an unknown model: {found}"


def raised(judge, call):
    """What an SDK made of a failure: the class of its exception and the status."""
    try:
        answer = call()
    except Exception as error:  # Every SDK has a base class of its own.
        return judge.failure(error)
    raise AssertionError(f"nothing was raised: {answer}")


ASKED = {"text": text, "tools": tools, "schema": schema, "images": images, "errors": errors}


def cell(fake, judge, provider, way, case):
    """Plays one cell; what is wrong, if anything."""
    try:
        if way == "other":
            others.ASKED[case](judge, provider, fake)
        else:
            ASKED[case](judge, provider, way == "stream")
    except Exception:
        return traceback.format_exc()
    return None


def play(gateway, fake, wanted):
    """Plays cells of the matrix, and returns what is wrong with each."""
    node = start_node(gateway, fake, [at for at in wanted if at[0] in NODE_JUDGES])
    judges = {name: judge(gateway) for name, judge in JUDGES.items() if any(at[0] == name for at in wanted)}
    ours = [at for at in wanted if at[0] in judges]
    # The SDKs keep one core busy; the gateway answers on the other.
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        problems = pool.map(lambda at: cell(fake, judges[at[0]], *at[1:]), ours)
        played = dict(zip(ours, problems, strict=True))
    return {**played, **results_of(node)}


def start_node(gateway, fake, wanted):
    """Starts the judge that is written for Node, if it has something to do."""
    if not wanted:
        return None
    judge = pathlib.Path(os.environ.get("SEAWORTHY_NODE", pathlib.Path(__file__).parents[2] / ".cache/node")) / "judge.mjs"
    order = {
        "url": gateway.url,
        "fake": fake.url,
        "key": gateway.key,
        "picture": PICTURE,
        "link": LINK,
        "without_links": sorted(WITHOUT_LINKS),
        "cells": wanted,
        "errors": {
            f"{name} {provider}": {status: expected(Family(name), provider, status) for status in ERRORS[NODE_JUDGES[name]]}
            for name in NODE_JUDGES
            for provider in PROVIDERS
        },
    }
    node = subprocess.Popen(["node", judge], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    node.stdin.write(json.dumps(order))
    node.stdin.close()
    return node


class Family:
    """As much of a judge as says what it raises."""

    def __init__(self, name):
        self.name, self.family = name, NODE_JUDGES[name]


def results_of(node):
    """Node prints a line for each cell: where, and what is wrong."""
    if node is None:
        return {}
    lines = node.stdout.read().splitlines()
    assert node.wait() == 0, "the judge for Node failed"
    return {tuple(at): problem for at, problem in map(json.loads, lines)}


def table(cells):
    """The matrix for people: a row for each SDK and way, a column for each provider, a letter for each case."""
    marks = {case: case[0].upper() for case in CASES}
    judges = list(dict.fromkeys(at[0] for at in cells))
    width = max(map(len, [*judges, "SDK"]))
    legend = ", ".join(f"{mark} {case}" for case, mark in marks.items())
    lines = [f"{'SDK':{width}}  way     " + " ".join(f"{provider:10}" for provider in PROVIDERS)]
    for judge in judges:
        for way in WAYS:
            row = []
            for provider in PROVIDERS:
                at = [(judge, provider, way, case) for case in CASES]
                row.append("".join(mark_of(cells, place, marks[place[3]]) for place in at))
            if any(word.strip(".") for word in row):
                lines.append(f"{judge:{width}}  {way:6}  " + " ".join(f"{word:10}" for word in row))
    for judge in judges:
        found = [at for at in cells if at[0] == judge and at[2] == "other"]
        words = [f"{at[3]} {at[1]}{'' if cells[at] is None else ' !'}" for at in found]
        if words:
            lines.append(f"{judge:{width}}  other   " + ", ".join(words))
    green = sum(problem is None for problem in cells.values())
    return [*lines, f"{legend}; ! failed, . not run", f"{green} of {len(cells)} cells green"]


def mark_of(cells, place, mark):
    if place not in cells:
        return "."
    return mark if cells[place] is None else "!"

