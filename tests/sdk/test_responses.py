"""The official OpenAI SDK speaks the Responses API, whatever the provider speaks."""

import openai
import pytest
from conftest import until

MODELS = ["echo", "fake-gpt", "fake-claude"]
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


@pytest.mark.parametrize("model", MODELS)
def test_a_response_has_text_and_usage(gateway, model):
    response = gateway.openai().responses.create(model=model, input="hello there", instructions="be kind")
    assert response.status == "completed"
    assert response.output_text
    assert response.usage.input_tokens > 0 and response.usage.output_tokens > 0


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_has_its_events_in_order(gateway, model):
    with gateway.openai().responses.stream(model=model, input="hello there") as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    numbers = [event.sequence_number for event in events if hasattr(event, "sequence_number")]
    assert numbers == sorted(set(numbers))
    assert final.usage.total_tokens > 0 and final.output_text


@pytest.mark.parametrize("model", MODELS)
def test_a_function_is_called(gateway, model):
    response = gateway.openai().responses.create(
        model=model, input="call get_weather [[fake:tool=get_weather]]", tools=[WEATHER]
    )
    calls = [item for item in response.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["get_weather"]


def test_an_answer_that_is_not_kept_cannot_be_continued(gateway):
    with pytest.raises(openai.BadRequestError, match="no stored response"):
        gateway.openai().responses.create(model="echo", input="x", previous_response_id="resp_1")


@pytest.mark.parametrize("model", MODELS)
def test_a_response_is_stored_continued_and_deleted(gateway, model):
    client = gateway.openai()
    first = client.responses.create(model=model, input="hello there", metadata={"a": "b"})
    assert client.responses.retrieve(first.id) == first
    second = client.responses.create(model=model, input="and again", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    items = list(client.responses.input_items.list(second.id, order="asc", limit=1))
    assert [item.type for item in items] == ["message"] * 3
    assert items[0].content[0].text == "hello there"
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    assert client.responses.retrieve(second.id).output_text == second.output_text


@pytest.mark.parametrize("model", MODELS)
def test_tools_are_called_over_turns(gateway, model):
    client = gateway.openai()
    asked = client.responses.create(model=model, input="call get_weather [[fake:tool=get_weather]]", tools=[WEATHER])
    (call,) = [item for item in asked.output if item.type == "function_call"]
    told = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    answer = client.responses.create(model=model, input=[told], tools=[WEATHER], previous_response_id=asked.id)
    assert answer.status == "completed"


def test_a_streamed_response_is_stored(gateway):
    client = gateway.openai()
    with client.responses.stream(model="fake-claude", input="hello there") as stream:
        final = stream.get_final_response()
    assert client.responses.retrieve(final.id).output_text == final.output_text


def test_a_response_is_made_in_the_background_and_another_is_cancelled(gateway):
    client = gateway.openai()
    made = client.responses.create(model="fake-gpt", input="hello there", background=True)
    assert made.status in ("queued", "in_progress")
    until("it is complete", lambda: client.responses.retrieve(made.id).status == "completed")
    slow = client.responses.create(model="fake-gpt", input="[[fake:latency_ms=1500]] x", background=True)
    assert client.responses.cancel(slow.id).status == "cancelled"
    assert client.responses.retrieve(slow.id).status == "cancelled"


def test_what_is_not_to_be_stored_is_not(gateway):
    client = gateway.openai()
    made = client.responses.create(model="echo", input="x", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_a_providers_rate_limit_raises_the_sdks_own_exception(gateway):
    with pytest.raises(openai.RateLimitError):
        gateway.openai().responses.create(model="fake-gpt", input="[[fake:status=429]]")
