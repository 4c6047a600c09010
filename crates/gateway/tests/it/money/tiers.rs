//! What a call costs that a provider serves in its priority tier, whether it was asked for or not.

use serde_json::{Value, json};

use super::{CHAT, refused, used};
use crate::support::app::TestApp;
use crate::support::client::Answer;
use crate::support::wire::{
    events, json_response, openai_usage_event, path, reply, request, stream,
};

/// A token costs a thousandth of a dollar, and three in the priority tier.
const PRICES: &str = "[prices.\"openai/gpt-real\"]\ninput = 1000\noutput = 1000\n\
                      priority = { input = 3000, output = 3000 }\n";
const BUDGET: &str = "[cost_config]\ndaily_budget_usd = 1000\n";

/// A call that asks for a tier, or for none, and is told one.
async fn served(app: &TestApp, asked: Option<&str>, told: Option<&str>) -> Answer {
    let mut answer: Value = reply(CHAT, false, &used(5, 5));
    answer["service_tier"] = json!(told);
    app.upstream.will_send(json_response(200, &answer));
    let mut extra = json!({"max_tokens": 10});
    if let Some(asked) = asked {
        extra["service_tier"] = json!(asked);
    }
    app.post(path(CHAT), request(CHAT, false, &extra))
        .send()
        .await
}

#[tokio::test(start_paused = true)]
async fn a_call_costs_what_the_tier_costs_that_it_was_served_in() {
    let app = TestApp::builder()
        .sections(PRICES)
        .sections(BUDGET)
        .start()
        .await;
    for (asked, told, cost) in [
        (None, None, "0.010000"),
        (None, Some("default"), "0.010000"),
        (None, Some("priority"), "0.030000"),
        (Some("priority"), Some("priority"), "0.030000"),
        (Some("priority"), Some("default"), "0.010000"),
        (Some("priority"), None, "0.030000"),
        (Some("flex"), Some("flex"), "0.010000"),
    ] {
        let answer = served(&app, asked, told).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let found = answer.header("x-seaworthy-cost-usd");
        assert_eq!(found, cost, "{asked:?} {told:?}");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_tells_its_tier_in_the_event_with_its_usage() {
    let app = TestApp::builder().sections(PRICES).start().await;
    let tier = "{\"service_tier\":\"priority\",";
    for (event, thousandths) in [
        (openai_usage_event(), 1),
        (openai_usage_event().replacen('{', tier, 1), 3),
    ] {
        let events = events(CHAT, false).concat();
        let events = events.replace(&openai_usage_event(), &event);
        app.upstream.will(stream(events));
        app.post(path(CHAT), request(CHAT, true, &json!({})))
            .send()
            .await;
        let settled = app.settlements().await.pop().unwrap();
        let expected = settled.usage.total() * 1_000 * thousandths;
        assert_eq!(settled.cost.0, expected, "{:?}", settled.usage);
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_dearer_tier_is_reserved_where_it_is_asked_for_however_it_is_written() {
    let app = TestApp::builder()
        .sections(PRICES)
        .sections("[cost_controls.per_request]\nmax_cost_usd = 1.0\n")
        .start()
        .await;
    // 320 tokens out and some in: below 1.00 in one tier, above it in the other.
    let ask = |member: &str| {
        let body = request(CHAT, false, &json!({"max_tokens": 320}));
        let body = String::from_utf8(body.to_vec()).unwrap();
        let body = body.replacen('{', &format!("{{{member}"), 1);
        app.post(path(CHAT), body).send()
    };
    app.upstream
        .will_send(json_response(200, &reply(CHAT, false, &used(5, 5))));
    let standard = ask("").await;
    assert_eq!(standard.status, 200, "{}", standard.text());
    for member in [
        r#""service_tier":"priority","#,
        r#""serv\u0069ce_tier":"prior\u0069ty","#,
    ] {
        let answer = ask(member).await;
        assert_eq!(
            answer.json()["error"]["code"],
            "request_over_cap",
            "{member}"
        );
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_tier_without_a_price_does_not_slip_past_a_budget_of_money() {
    let prices = "[prices.\"openai/gpt-real\"]\ninput = 1000\noutput = 1000\n";
    let app = TestApp::builder()
        .sections(prices)
        .sections(BUDGET)
        .start()
        .await;
    let extra = json!({"max_tokens": 10, "service_tier": "priority"});
    let answer = refused(&app, &[], &extra).await;
    assert_eq!(answer.json()["error"]["code"], "price_unknown");
    assert!(answer.text().contains("priority tier"), "{}", answer.text());
    app.finish().await;
}
