//! Mistakes that can be made in such a protocol, planted from outside: into the scripts on their way to
//! the server, into the answers of the registry, and into what a gateway does around it. The simulation
//! is worth something only as long as it finds every one of them.

use super::world::Weather;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    WhatIsSetAsideIsGivenOut,
    SharesOverlap,
    ReportsCountAgain,
    SharesOfTheGoneStaySetAside,
    OldDataIsTrusted,
    NobodyIsWaitedFor,
    WhatIsWantedIsKept,
    ClaimingAgainReservesAgain,
    SettlingAgainCountsAgain,
    AnyMemoryWillDo,
    AStartRaisesWhatIsKnown,
    WhoWasEndedSpends,
    WhoSpendsIsTakenForDead,
    TheDeadHaveSpentNothing,
    NobodyIsRecalled,
    NobodyLooksBeforeSending,
    TheLedgerIsReadToItsEnd,
    OpenCallsAreForgotten,
    WhatArrivesLateIsTaken,
    AClockThatWasSetIsBelieved,
    WhatEndedIsToldLate,
    WhoIsStillTellingIsNotWaitedFor,
}

impl Mistake {
    pub(super) const ALL: [Self; 22] = [
        Self::WhatIsSetAsideIsGivenOut,
        Self::SharesOverlap,
        Self::ReportsCountAgain,
        Self::SharesOfTheGoneStaySetAside,
        Self::OldDataIsTrusted,
        Self::NobodyIsWaitedFor,
        Self::WhatIsWantedIsKept,
        Self::ClaimingAgainReservesAgain,
        Self::SettlingAgainCountsAgain,
        Self::AnyMemoryWillDo,
        Self::AStartRaisesWhatIsKnown,
        Self::WhoWasEndedSpends,
        Self::WhoSpendsIsTakenForDead,
        Self::TheDeadHaveSpentNothing,
        Self::NobodyIsRecalled,
        Self::NobodyLooksBeforeSending,
        Self::TheLedgerIsReadToItsEnd,
        Self::OpenCallsAreForgotten,
        Self::WhatArrivesLateIsTaken,
        Self::AClockThatWasSetIsBelieved,
        Self::WhatEndedIsToldLate,
        Self::WhoIsStillTellingIsNotWaitedFor,
    ];

    /// Those that show within a few seeds.
    pub(super) const AT_ONCE: [Self; 2] = [
        Self::ClaimingAgainReservesAgain,
        Self::SharesOfTheGoneStaySetAside,
    ];

    /// Where it shows soonest; seeds that bring something else need not be run to look for it.
    pub(super) fn shows_in(self) -> Weather {
        match self {
            Self::WhatIsSetAsideIsGivenOut
            | Self::SharesOverlap
            | Self::WhatIsWantedIsKept
            | Self::WhoWasEndedSpends
            | Self::WhoSpendsIsTakenForDead => Weather::Partition,
            Self::ReportsCountAgain
            | Self::SettlingAgainCountsAgain
            | Self::WhatArrivesLateIsTaken => Weather::Flapping,
            Self::OldDataIsTrusted | Self::TheLedgerIsReadToItsEnd => Weather::Server,
            Self::SharesOfTheGoneStaySetAside
            | Self::ClaimingAgainReservesAgain
            | Self::AStartRaisesWhatIsKnown
            | Self::TheDeadHaveSpentNothing
            | Self::OpenCallsAreForgotten => Weather::Replicas,
            Self::NobodyLooksBeforeSending | Self::AClockThatWasSetIsBelieved => {
                Weather::Standstill
            }
            Self::AnyMemoryWillDo | Self::NobodyIsRecalled => Weather::Absence,
            Self::NobodyIsWaitedFor
            | Self::WhatEndedIsToldLate
            | Self::WhoIsStillTellingIsNotWaitedFor => Weather::Loss,
        }
    }

    /// The script with the mistake, where it is one of a script and this is the script.
    pub(super) fn make(self, script: &str) -> String {
        let (right, wrong) = match self {
            Self::WhatIsSetAsideIsGivenOut => {
                ("math.max(0, left - budget.aside)", "math.max(0, left)")
            }
            Self::SharesOverlap => (
                "local others = math.max(0, aside - known)",
                "local others = 0",
            ),
            Self::ReportsCountAgain => (
                "if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', text(DAY)) then return 0 end",
                "",
            ),
            Self::SharesOfTheGoneStaySetAside => {
                ("redis.call('HINCRBY', key, 'e', text(-amount))", "")
            }
            Self::OldDataIsTrusted => ("if run and ARGV[3] ~= ''", "if false and ARGV[3] ~= ''"),
            Self::NobodyIsWaitedFor => ("text(now + tonumber(ARGV[4]))", "text(now)"),
            Self::WhatIsWantedIsKept => {
                ("if share < least or wanted then", "if share < least then")
            }
            Self::ClaimingAgainReservesAgain => (
                "if redis.call('EXISTS', KEYS[3]) == 1 then return standings({'taken'}) end",
                "",
            ),
            Self::SettlingAgainCountsAgain => ("else\n    redis.call('DEL', KEYS[2])\nend", "end"),
            Self::AnyMemoryWillDo => ("if ARGV[4] ~= epoch[1] then return {'changed'} end", ""),
            Self::WhatArrivesLateIsTaken => ("if ARGV[8] == '1' then", "if false then"),
            Self::AStartRaisesWhatIsKnown => (
                "if is_blank or redis.call('EXISTS', KEYS[index]) == 0 then",
                "if true then",
            ),
            Self::WhatEndedIsToldLate => (
                "if redis.call('HGET', KEYS[3], 'id') ~= ARGV[2] then",
                "if redis.call('HGET', KEYS[3], 'id') ~= ARGV[2] \
                 or tonumber(redis.call('HGET', KEYS[3], 'ready')) > server_now() then",
            ),
            Self::WhoIsStillTellingIsNotWaitedFor => {
                ("local STILL_TELLING = 300", "local STILL_TELLING = 0")
            }
            _ => return script.to_owned(),
        };
        script.replace(right, wrong)
    }
}
