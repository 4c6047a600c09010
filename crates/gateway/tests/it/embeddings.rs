//! Texts as vectors: every face that has them at every kind of provider that has them, with the
//! provider's figures in the ledger.

use http::Method;
use seaworthy_core::dialect::Family;
use seaworthy_fake_provider::{Options, serve};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Answer;
use crate::support::wire::json_response;

/// A face: its path, its request for these texts, and its vectors in an answer.
pub(crate) struct Face {
    pub(crate) path: &'static str,
    pub(crate) request: fn(&str, &[&str]) -> Value,
    vectors: fn(&Value) -> Vec<Value>,
    takes_several: bool,
}

fn values(listed: &Value, name: &str) -> Vec<Value> {
    let listed = listed.as_array().unwrap().iter();
    listed.map(|item| item[name].clone()).collect()
}

fn content(text: &str) -> Value {
    json!({"parts": [{"text": text}]})
}

pub(crate) const FACES: [Face; 5] = [
    Face {
        path: "/v1/embeddings",
        request: |model, texts| json!({"model": model, "input": texts, "dimensions": 3}),
        vectors: |answer| values(&answer["data"], "embedding"),
        takes_several: true,
    },
    Face {
        path: "/openai/deployments/{model}/embeddings?api-version=2024-10-21",
        request: |_, texts| json!({"input": texts, "dimensions": 3}),
        vectors: |answer| values(&answer["data"], "embedding"),
        takes_several: true,
    },
    Face {
        path: "/v1beta/models/{model}:embedContent",
        request: |model, texts| {
            json!({"model": format!("models/{model}"), "content": content(texts[0]),
                "outputDimensionality": 3, "taskType": "RETRIEVAL_QUERY"})
        },
        vectors: |answer| vec![answer["embedding"]["values"].clone()],
        takes_several: false,
    },
    Face {
        path: "/v1/models/{model}:batchEmbedContents",
        request: |model, texts| {
            let one = |text: &&str| {
                json!({"model": format!("models/{model}"), "content": content(text),
                    "outputDimensionality": 3})
            };
            json!({"requests": texts.iter().map(one).collect::<Vec<_>>()})
        },
        vectors: |answer| values(&answer["embeddings"], "values"),
        takes_several: true,
    },
    Face {
        path: "/v2/embed",
        request: |model, texts| {
            json!({"model": model, "texts": texts, "input_type": "search_query",
                "output_dimension": 3, "embedding_types": ["float"]})
        },
        vectors: |answer| answer["embeddings"]["float"].as_array().unwrap().clone(),
        takes_several: true,
    },
];

/// Kinds of providers: what is configured, and where they are asked for vectors.
#[rustfmt::skip]
const KINDS: [(&str, &str, &[&str]); 4] = [
    ("openai", "kind = \"openai\"\nbase_url = \"{fake}/v1\"\napi_key = \"k\"", &["/v1/embeddings"]),
    ("azure", "kind = \"azure-openai\"\napi_version = \"2024-10-21\"\nbase_url = \"{fake}\"\napi_key = \"k\"", &["/openai/deployments/real-azure/embeddings"]),
    ("gemini", "kind = \"gemini\"\nbase_url = \"{fake}\"\napi_key = \"k\"", &["/v1beta/models/real-gemini:embedContent", "/v1beta/models/real-gemini:batchEmbedContents"]),
    ("cohere", "kind = \"cohere\"\nbase_url = \"{fake}\"\napi_key = \"k\"", &["/v2/embed"]),
];

pub(crate) fn config(fake: &str) -> String {
    let section = |(name, options, _): &(&str, &str, &[&str])| {
        let options = options.replace("{fake}", fake);
        format!(
            "[providers.p-{name}]\n{options}\n[models.{name}]\ntargets = [\"p-{name}/real-{name}\"]\n"
        )
    };
    let none = "[providers.p-none]\nkind = \"anthropic\"\napi_key = \"k\"\n[models.none]\ntargets = [\"p-none/x\"]\n";
    KINDS.iter().map(section).chain([none.to_owned()]).collect()
}

pub(crate) async fn ask(app: &TestApp, face: &Face, model: &str, texts: &[&str]) -> Answer {
    let body = (face.request)(model, texts).to_string();
    let call = app.call(Method::POST, &face.path.replace("{model}", model));
    call.key(&app.user_key).body(body).send().await
}

#[tokio::test]
async fn every_face_has_vectors_of_every_kind_with_the_providers_figures() {
    let fake = serve(Options::default()).await.unwrap();
    let app = TestApp::builder()
        .sections(&config(&format!("http://{}", fake.addr())))
        .start()
        .await;
    for face in &FACES {
        let texts: &[&str] = match face.takes_several {
            true => &["calm sea", "storm"],
            false => &["calm sea"],
        };
        let mut of_openai: Option<Vec<Value>> = None;
        for (model, _, paths) in KINDS {
            let what = format!("{} at {model}", face.path);
            let answer = ask(&app, face, model, texts).await;
            assert_eq!(answer.status, 200, "{what}: {}", answer.text());
            let vectors = (face.vectors)(&answer.json());
            // The fake one makes the same vectors of the same texts, whatever it plays.
            assert_eq!(vectors.len(), texts.len(), "{what}");
            assert_eq!(*of_openai.get_or_insert(vectors.clone()), vectors, "{what}");
            assert_eq!(vectors[0].as_array().unwrap().len(), 3, "{what}");
            let seen = fake.calls(0).pop().unwrap();
            assert!(paths.contains(&&*seen.path), "{what}: {}", seen.path);
            let body = String::from_utf8(seen.body.unwrap().to_vec()).unwrap();
            assert!(!body.contains(&format!("models/{model}")), "{what}: {body}");
            let settled = app.settlements().await.pop().unwrap();
            assert_eq!(settled.usage.input_tokens, seen.issued.input, "{what}");
            assert!(!settled.usage.estimated, "{what}");
            assert_eq!(&*settled.operation, "embeddings");
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn what_another_api_has_no_word_for_is_named_or_refused() {
    let fake = serve(Options::default()).await.unwrap();
    let app = TestApp::builder()
        .sections(&config(&format!("http://{}", fake.addr())))
        .start()
        .await;
    let answer = ask(&app, &FACES[2], "openai", &["calm"]).await;
    let told = answer.header("x-seaworthy-dropped");
    assert!(told.contains("taskType="), "{told}");
    let asked = fake.calls(0).len();
    let bytes = json!({"model": "gemini", "texts": ["a"], "input_type": "clustering",
        "embedding_types": ["int8"]});
    let answer = app.post("/v2/embed", bytes.to_string()).send().await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (400, &json!("invalid_request"))
    );
    let tokens = json!({"model": "cohere", "input": [1, 2]}).to_string();
    let answer = app.post("/v1/embeddings", tokens).send().await;
    answer.assert_error(Family::OpenAi, 400, "invalid_request");
    let answer = ask(&app, &FACES[4], "none", &["a"]).await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (400, &json!("unsupported_operation"))
    );
    assert_eq!(fake.calls(0).len(), asked, "nothing was sent");
    app.finish().await;
}

#[tokio::test]
async fn errors_of_a_provider_are_in_the_callers_words() {
    let fake = serve(Options::default()).await.unwrap();
    let app = TestApp::builder()
        .sections(&config(&format!("http://{}", fake.addr())))
        .start()
        .await;
    let text = "[[fake:status=429]]";
    for (model, _, _) in KINDS {
        let gemini = ask(&app, &FACES[3], model, &[text]).await;
        assert_eq!(
            (gemini.status, &gemini.json()["error"]["status"]),
            (429, &json!("RESOURCE_EXHAUSTED"))
        );
        let openai = ask(&app, &FACES[0], model, &[text]).await;
        assert_eq!(openai.status, 429);
        assert!(
            openai.json()["error"]["type"].is_string(),
            "{}",
            openai.text()
        );
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn vectors_belong_to_the_texts_that_their_numbers_say_and_there_is_one_for_each() {
    let vector = |index: u64| json!({"object": "embedding", "index": index, "embedding": [index]});
    let answer = |of: &[u64]| {
        let data: Vec<Value> = of.iter().map(|index| vector(*index)).collect();
        json!({"object": "list", "data": data, "usage": {"prompt_tokens": 2, "total_tokens": 2}})
    };
    let ask = json!({"model": "gpt", "texts": ["none", "one"], "input_type": "search_query"});
    for (sent, expected) in [
        (vec![1, 0], Some(json!([[0], [1]]))),
        (vec![0, 1], Some(json!([[0], [1]]))),
        (vec![0], None),
        (vec![0, 1, 2], None),
        (vec![], None),
    ] {
        let app = TestApp::start().await;
        app.upstream.will_send(json_response(200, &answer(&sent)));
        let told = app.post("/v2/embed", ask.to_string()).send().await;
        match expected {
            Some(vectors) => assert_eq!(told.json()["embeddings"]["float"], vectors),
            None => {
                assert_eq!(
                    (told.status, told.json()["code"].as_str()),
                    (503, Some("upstream_invalid_response"))
                );
                assert!(told.text().contains("for 2 texts"), "{}", told.text());
            }
        }
        app.finish().await;
    }
}
