"""What SDKs offer beside conversations: lists of models, embeddings, moderations, counts, and their retries."""

import math

import langchain_openai
from conftest import tokens
from judges import Ask

TEXTS = ["calm sea", "storm"]
DIMENSIONS = 8
# Who offers embeddings, for callers of any face that has them.
EMBEDDING = ["openai", "compatible", "azure", "gemini", "cohere"]


def names_of(judge):
    """The models that an SDK lists."""
    return {
        "openai": lambda client: [model.id for model in client.models.list()],
        "azure": lambda client: [model.id for model in client.models.list()],
        "anthropic": lambda client: [model.id for model in client.models.list()],
        "cohere": lambda client: [model.name for model in client.models.list().models],
        "google-genai": lambda client: [model.name.removeprefix("models/") for model in client.models.list()],
    }[judge.name](judge.client)


def models(judge, provider, fake):
    assert provider in names_of(judge), names_of(judge)


def embeddings(judge, provider, fake):
    """A vector of length 1 for each text, as long as asked for, and the provider's count of tokens."""
    vectors, counted = EMBED[judge.name](judge, provider)
    assert [len(vector) for vector in vectors] == [DIMENSIONS] * len(TEXTS), vectors
    assert all(math.isclose(math.hypot(*vector), 1, rel_tol=1e-3) for vector in vectors), vectors
    assert vectors[0] != vectors[1]
    assert counted in (None, tokens(*TEXTS)), counted


def embed_openai(judge, provider):
    answer = judge.client.embeddings.create(model=provider, input=TEXTS, dimensions=DIMENSIONS)
    return [item.embedding for item in answer.data], answer.usage.prompt_tokens


def embed_langchain(judge, provider):
    embedder = langchain_openai.OpenAIEmbeddings(
        base_url=judge.url,
        api_key=judge.key,
        model=provider,
        dimensions=DIMENSIONS,
        max_retries=0,
        # It would load the tables of a tokenizer from elsewhere.
        check_embedding_ctx_length=False,
    )
    return embedder.embed_documents(TEXTS), None


def embed_gemini(judge, provider):
    answer = judge.client.models.embed_content(
        model=provider,
        contents=TEXTS,
        config={"output_dimensionality": DIMENSIONS, "task_type": "RETRIEVAL_DOCUMENT"},
    )
    return [embedding.values for embedding in answer.embeddings], None


def embed_cohere(judge, provider):
    answer = judge.client.embed(
        model=provider,
        texts=TEXTS,
        input_type="search_document",
        embedding_types=["float"],
        output_dimension=DIMENSIONS,
        request_options={"max_retries": 0},
    )
    return answer.embeddings.float_, int(answer.meta.billed_units.input_tokens)


EMBED = {"openai": embed_openai, "azure": embed_openai, "langchain": embed_langchain, "google-genai": embed_gemini, "cohere": embed_cohere}


def moderations(judge, provider, fake):
    answer = judge.client.moderations.create(model=provider, input=["pure violence", "peace"])
    assert [result.flagged for result in answer.results] == [True, False]


def count(judge, provider, fake):
    """An estimate where the provider does not count."""
    counted = {
        "anthropic": lambda: judge.client.messages.count_tokens(
            model=provider, messages=[{"role": "user", "content": "twelve bytes"}]
        ).input_tokens,
        "google-genai": lambda: judge.client.models.count_tokens(model=provider, contents="twelve bytes").total_tokens,
    }[judge.name]()
    assert counted == 3 if provider == judge.family else 3 <= counted <= 12, counted


def retries(judge, provider, fake):
    """`x-should-retry: false` is final, whatever the status, and what may be tried again is."""
    model = retry_model(judge.name, provider)
    calls = lambda: fake.stats()["by_model"].get(model, 0)  # noqa: E731
    before = calls()
    for stream in (False, True):
        for fault, times in [("status=429,should_retry=false", 1), ("status=503,retry_after_ms=1", 3)]:
            try:
                judge.ask(model, Ask(f"[[fake:{fault}]]"), stream, judge.patient)
            except Exception as error:  # Every SDK has a base class of its own.
                assert judge.failure(error)[1] in (429, 503, 529), error
            assert calls() - before == times, f"{fault}: {calls() - before} times"
            before = calls()


def retry_model(judge, provider):
    """A model of its own for each cell, so that its calls can be counted."""
    return f"retries-{judge}-{provider}".replace(" ", "-")


RETRYING = ["openai", "openai responses", "azure", "anthropic", "node openai", "node openai responses", "node anthropic"]
CELLS = [
    *[(judge, provider, "other", "models") for judge in ["openai", "azure", "anthropic", "google-genai", "cohere"]
      for provider in ["openai", "gemini"]],
    # Of several texts Google's SDK makes one content, and so one vector, when the model's name says Gemini.
    *[
        (judge, provider, "other", "embeddings")
        for judge in EMBED
        for provider in EMBEDDING
        if (judge, provider) != ("google-genai", "gemini")
    ],
    *[(judge, provider, "other", "moderations") for judge in ["openai"] for provider in ["openai", "compatible"]],
    *[(judge, provider, "other", "count") for judge in ["anthropic", "google-genai"] for provider in ["anthropic", "gemini", "openai"]],
    *[(judge, provider, "other", "retries") for judge in RETRYING for provider in ["openai", "anthropic"]],
]
ASKED = {"models": models, "embeddings": embeddings, "moderations": moderations, "count": count, "retries": retries}
