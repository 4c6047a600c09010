"""The official OpenAI SDK speaks the Responses API, whatever the provider speaks."""

import openai
import pytest

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
    with pytest.raises(openai.BadRequestError, match="not stored"):
        gateway.openai().responses.create(model="echo", input="x", previous_response_id="resp_1")


def test_a_providers_rate_limit_raises_the_sdks_own_exception(gateway):
    with pytest.raises(openai.RateLimitError):
        gateway.openai().responses.create(model="fake-gpt", input="[[fake:status=429]]")
