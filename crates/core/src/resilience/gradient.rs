//! How many calls a target may have before their first token, found out from how long that takes:
//! while more calls do not make each of them slower the limit grows, and it shrinks once they do.

/// The bounds of the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Whether the limit moves; without it, it is `max`.
    pub enabled: bool,
    /// What it begins with.
    pub initial: u32,
    /// It never falls below.
    pub min: u32,
    /// It never rises above.
    pub max: u32,
    /// How much slower than usual is still fine, such as 2 for twice as long.
    pub tolerance: f64,
}

/// The limit of one target and what it was learned from.
#[derive(Debug, Clone, Default)]
pub struct Gradient {
    limit: f64,
    /// How long calls take while there are not too many of them, in ms.
    usual: Option<f64>,
    window: Samples,
    /// When the last window ended, in ms.
    judged_at: f64,
    /// Whether more calls than the target can do were seen.
    has_met_its_limit: bool,
    /// How it was when the limit began to shrink because calls were slow.
    slow_since: Option<Slow>,
}

#[derive(Debug, Clone, Copy)]
struct Slow {
    limit: f64,
    /// The slowest calls since then, and how many were under way with them.
    recent: f64,
    in_flight: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Samples {
    count: u32,
    sum: f64,
    most_in_flight: u32,
    waited: bool,
    /// How long it took until there were so many, in ms.
    took: f64,
}

/// So many calls are judged together: one slow call says nothing. Where fewer may be under way, fewer
/// are, or it would take long to learn anything.
const WINDOW: u32 = 16;
const SHORT_WINDOW: u32 = 4;
/// Where half as many calls are still slower than this share of what they were, it is not they that make
/// each other slow.
const HARDLY_FASTER: f64 = 0.75;
/// In about so long it is believed that a target is slower than it was.
const SLOWLY_MS: f64 = 60_000.0;
/// What a single overload costs.
const BACK_OFF: f64 = 0.9;

impl Gradient {
    /// How many may be under way.
    #[must_use]
    pub fn limit(&self, settings: &Settings) -> u32 {
        if !settings.enabled {
            return settings.max;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to the bounds, which are u32"
        )]
        let limit = self.current(settings) as u32;
        limit
    }

    /// Whether the limit still grows quickly, because nothing is known of what the target can do.
    #[must_use]
    pub fn is_exploring(&self, settings: &Settings) -> bool {
        settings.enabled && !self.has_met_its_limit && self.limit(settings) < settings.max
    }

    /// How long the first token usually takes, in ms.
    #[must_use]
    pub fn usual_ms(&self) -> Option<f64> {
        self.usual
    }

    /// A call has its first token after so long. `in_flight` is how many were under way with it,
    /// `is_waited_for` whether others waited for their turn; `now` are ms of any clock.
    pub fn sample(
        &mut self,
        settings: &Settings,
        took_ms: f64,
        (in_flight, is_waited_for): (u32, bool),
        now: f64,
    ) {
        let window = &mut self.window;
        window.count += 1;
        window.sum += took_ms;
        window.most_in_flight = window.most_in_flight.max(in_flight);
        window.waited |= is_waited_for;
        // An idle target's first calls are all there is to go by.
        if self.usual.is_none() {
            self.usual = Some(took_ms);
        }
        if self.window.count >= self.limit(settings).clamp(SHORT_WINDOW, WINDOW) {
            let mut window = std::mem::take(&mut self.window);
            window.took = now - std::mem::replace(&mut self.judged_at, now);
            self.judge(settings, &window);
        }
    }

    /// The target said that it has too much to do, or did not answer in time.
    pub fn overloaded(&mut self, settings: &Settings) {
        self.has_met_its_limit = true;
        let limit = self.current(settings) * BACK_OFF;
        self.limit = limit.clamp(f64::from(settings.min), f64::from(settings.max));
    }

    fn current(&self, settings: &Settings) -> f64 {
        let limit = match self.limit > 0.0 {
            true => self.limit,
            false => f64::from(settings.initial),
        };
        limit.clamp(f64::from(settings.min), f64::from(settings.max))
    }

    fn judge(&mut self, settings: &Settings, window: &Samples) {
        let limit = self.current(settings);
        let recent = window.sum / f64::from(window.count.max(1));
        let usual = self.usual.unwrap_or(recent);
        let is_used = f64::from(window.most_in_flight) >= limit / 2.0;
        if is_used {
            let tolerance = tolerance(settings.tolerance, window.waited);
            let gradient = (tolerance * usual / recent.max(0.001)).clamp(0.5, 1.0);
            self.has_met_its_limit |= gradient < 1.0;
            let in_flight = f64::from(window.most_in_flight);
            let slow = self.slow_since.get_or_insert(Slow {
                limit,
                recent,
                in_flight,
            });
            // The line within the target may still grow when the limit has begun to shrink.
            if recent > slow.recent {
                (slow.recent, slow.in_flight) = (recent, in_flight);
            }
            let slow = *slow;
            let are_half = in_flight <= slow.in_flight / 2.0;
            if gradient < 1.0 && are_half && recent > slow.recent * HARDLY_FASTER {
                // Fewer calls are as slow: the target itself, or what it is asked for, is.
                self.usual = Some(recent);
                self.limit = slow.limit;
                self.slow_since = None;
                return;
            }
            self.slow_since = self.slow_since.filter(|_| gradient < 1.0);
            let moved = if gradient < 1.0 {
                // What was under way before it shrank is still slow; but never less than what the target
                // is seen to do would take.
                let done = f64::from(window.count) / window.took.max(0.001);
                (limit * gradient)
                    .max(done * usual * half(tolerance))
                    .min(limit)
            } else if self.has_met_its_limit && recent > usual * half(tolerance) {
                // What grows now is seen only when calls that begin now have ended.
                limit
            } else if self.has_met_its_limit {
                // Room to grow: what is free is found out by trying.
                limit + limit.sqrt() / 2.0
            } else {
                // Twice as many in the time of a call.
                limit + f64::from(window.count)
            };
            self.limit = moved.clamp(f64::from(settings.min), f64::from(settings.max));
        }
        // What is usual is learned while nobody waits, or the wait itself would become usual. At the
        // bottom there is no other way to learn that the target has become slower for good.
        let is_at_the_bottom = self.limit > 0.0 && self.limit <= f64::from(settings.min);
        // It rises slowly: calls that wait for each other within the target are no other target.
        let slowly = (window.took / SLOWLY_MS).clamp(0.0, 0.1);
        let weight = match (recent < usual, window.waited || is_used) {
            (true, _) => 0.3,
            (false, false) => slowly,
            (false, true) if is_at_the_bottom => slowly,
            (false, true) => 0.0,
        };
        self.usual = Some(usual + (recent - usual) * weight);
    }
}

/// How much slower than usual is fine. Where others wait as well, calls that make each other slower get
/// nothing done that they would not get done anyway: half as much is fine.
fn tolerance(configured: f64, is_waited_for: bool) -> f64 {
    match is_waited_for {
        true => half(configured),
        false => configured,
    }
}

/// Half as much slower.
fn half(tolerance: f64) -> f64 {
    1.0 + (tolerance - 1.0).max(0.0) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        enabled: true,
        initial: 20,
        min: 5,
        max: 1_000,
        tolerance: 2.0,
    };

    /// A target that serves `capacity` calls at a time, each in 100 ms; more of them wait for it.
    fn drive(gradient: &mut Gradient, capacity: f64, calls: usize) {
        let mut now = gradient.judged_at;
        for _ in 0..calls {
            let in_flight = gradient.limit(&SETTINGS);
            let took = 100.0 * (f64::from(in_flight) / capacity).max(1.0);
            now += took / f64::from(in_flight);
            gradient.sample(&SETTINGS, took, (in_flight, true), now);
        }
    }

    #[test]
    fn the_limit_comes_near_to_what_the_target_can_do() {
        for capacity in [10.0, 50.0, 200.0] {
            let mut gradient = Gradient::default();
            gradient.sample(&SETTINGS, 100.0, (1, false), 0.0);
            assert!(gradient.is_exploring(&SETTINGS));
            drive(&mut gradient, capacity, 20_000);
            assert!(!gradient.is_exploring(&SETTINGS));
            let limit = f64::from(gradient.limit(&SETTINGS));
            assert!(limit >= capacity, "{limit} of {capacity}");
            assert!(limit <= capacity * 2.0, "{limit} of {capacity}");
        }
    }

    #[test]
    fn an_idle_target_keeps_its_limit_and_what_is_usual_is_learned() {
        let mut gradient = Gradient::default();
        for _ in 0..1_000 {
            gradient.sample(&SETTINGS, 700.0, (1, false), 0.0);
        }
        assert_eq!(gradient.limit(&SETTINGS), 20);
        assert_eq!(gradient.usual_ms(), Some(700.0));
    }

    #[test]
    fn overload_shrinks_it_down_to_the_minimum_and_it_recovers() {
        let mut gradient = Gradient::default();
        for _ in 0..100 {
            gradient.overloaded(&SETTINGS);
        }
        assert_eq!(gradient.limit(&SETTINGS), 5);
        gradient.sample(&SETTINGS, 100.0, (1, false), 0.0);
        drive(&mut gradient, 200.0, 20_000);
        assert!(gradient.limit(&SETTINGS) > 100);
    }

    #[test]
    fn a_target_that_is_slower_for_good_is_believed_in_the_end() {
        let mut gradient = Gradient::default();
        for _ in 0..160 {
            gradient.sample(&SETTINGS, 10.0, (1, false), 0.0);
        }
        let mut now = 0.0;
        for _ in 0..200_000 {
            let in_flight = gradient.limit(&SETTINGS);
            now += 500.0 / f64::from(in_flight);
            gradient.sample(&SETTINGS, 500.0, (in_flight, true), now);
        }
        assert!(gradient.limit(&SETTINGS) > 20);
    }

    #[test]
    fn a_small_target_gets_few_calls() {
        let settings = Settings {
            initial: 200,
            min: 1,
            ..SETTINGS
        };
        for capacity in [1.0, 2.0, 4.0] {
            let (mut gradient, mut now) = (Gradient::default(), 0.0);
            gradient.sample(&settings, 100.0, (1, false), now);
            for _ in 0..5_000 {
                let in_flight = gradient.limit(&settings);
                let took = 100.0 * (f64::from(in_flight) / capacity).max(1.0);
                now += took / f64::from(in_flight);
                gradient.sample(&settings, took, (in_flight, true), now);
            }
            let limit = f64::from(gradient.limit(&settings));
            assert!(
                limit >= capacity && limit <= capacity * 3.0,
                "{limit} of {capacity}"
            );
        }
    }

    #[test]
    fn longer_calls_are_no_reason_to_send_fewer_for_long() {
        let settings = Settings {
            initial: 200,
            min: 1,
            ..SETTINGS
        };
        let (mut gradient, mut now) = (Gradient::default(), 0.0);
        for number in 0..10_000 {
            // As many as there are make none of them slower, but they are other calls from here on.
            let took = if number < 2_000 { 100.0 } else { 3_000.0 };
            let in_flight = gradient.limit(&settings);
            now += took / f64::from(in_flight);
            gradient.sample(&settings, took, (in_flight, true), now);
            assert!(gradient.limit(&settings) >= 40, "{number}: {gradient:?}");
        }
        assert!(gradient.usual_ms().unwrap() > 2_000.0, "{gradient:?}");
        assert!(gradient.limit(&settings) >= 200, "{gradient:?}");
    }

    #[test]
    fn nothing_is_lost_of_what_the_target_is_seen_to_do_when_it_is_slow_for_a_moment() {
        let mut gradient = Gradient::default();
        gradient.sample(&SETTINGS, 100.0, (1, false), 0.0);
        drive(&mut gradient, 200.0, 20_000);
        let mut now = gradient.judged_at;
        // All that were under way answer late, as quickly after each other as ever.
        for _ in 0..1_000 {
            now += 0.5;
            let in_flight = gradient.limit(&SETTINGS);
            gradient.sample(&SETTINGS, 1_000.0, (in_flight, true), now);
        }
        let limit = gradient.limit(&SETTINGS);
        assert!((200..400).contains(&limit), "{limit}");
    }

    #[test]
    fn an_unknown_target_gets_twice_as_many_calls_in_the_time_of_each() {
        let mut gradient = Gradient::default();
        for lap in 1..=5 {
            for _ in 0..gradient.limit(&SETTINGS).next_multiple_of(WINDOW) {
                let in_flight = gradient.limit(&SETTINGS);
                gradient.sample(&SETTINGS, 100.0, (in_flight, true), f64::from(lap) * 100.0);
            }
        }
        assert!(gradient.limit(&SETTINGS) >= 600);
    }

    #[test]
    fn a_rush_of_a_few_seconds_is_not_taken_for_what_is_usual() {
        let mut gradient = Gradient::default();
        for call in 0..500 {
            let took = if call < 20 { 100.0 } else { 300.0 };
            gradient.sample(&SETTINGS, took, (5, false), f64::from(call) * 10.0);
        }
        assert!(gradient.usual_ms().unwrap() < 120.0, "{gradient:?}");
    }

    #[test]
    fn without_adaptation_the_limit_is_the_largest() {
        let settings = Settings {
            enabled: false,
            ..SETTINGS
        };
        let mut gradient = Gradient::default();
        gradient.overloaded(&settings);
        assert_eq!(gradient.limit(&settings), 1_000);
    }
}
