//! The contract of storage, one statement per function.

pub(crate) mod idempotency;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod lifecycle;
pub(crate) mod objects;
pub(crate) mod switches;

/// Makes a test of every statement for one back end, a function of `backends`. A statement that is
/// missing from the list is reported by the compiler as never used.
macro_rules! conformance {
    ($backend:ident) => {
        pub(crate) mod $backend {
            $crate::suite::tests!($backend, keys:
                a_key_is_found_by_its_digest_with_every_field,
                an_unknown_digest_finds_nothing,
                a_key_is_found_by_its_id_and_no_other_is,
                the_first_secret_of_tokens_stays,
                a_credential_keeps_the_moment_it_was_first_seen,
                an_expired_or_revoked_key_is_still_found,
                an_id_is_given_once,
                a_digest_is_given_once,
                a_refused_key_leaves_no_trace,
                keys_are_listed_oldest_first_then_by_id,
                revoking_returns_the_key_and_keeps_the_first_moment,
                revoking_an_unknown_key_is_not_found,
                rotating_adds_the_replacement_and_lets_the_old_key_expire,
                rotating_keeps_an_earlier_expiry,
                rotating_brings_a_later_expiry_forward,
                rotating_an_unknown_key_is_not_found,
                only_a_live_key_can_be_rotated,
                a_key_that_is_revoked_in_the_future_can_be_rotated,
                a_rotation_whose_replacement_exists_changes_nothing,
                the_keys_before_a_key_are_known_latest_first,
                any_change_of_a_key_changes_the_generation,
                the_generation_rests_while_no_key_changes,
                of_many_that_add_the_same_key_at_once_one_succeeds,
            );
            $crate::suite::tests!($backend, ledger:
                nothing_settled_sums_to_nothing,
                every_class_of_tokens_is_summed_apart,
                unsuccessful_and_estimated_calls_are_counted,
                a_call_is_settled_once_and_the_first_settlement_stays,
                a_call_twice_in_one_batch_counts_once,
                an_empty_batch_is_settled,
                usage_is_grouped_by_each_dimension,
                only_what_was_asked_for_is_summed,
                the_largest_group_comes_first_then_by_name,
                since_is_inclusive_and_until_is_not,
                the_ends_of_time_are_ordinary_moments,
                an_absurd_count_does_not_take_the_report_down,
                what_is_settled_is_in_the_next_report,
                sixty_four_writers_at_once_lose_nothing,
                the_fate_of_a_call_is_what_it_was_settled_with,
                the_real_end_of_a_call_replaces_that_it_was_given_up,
            );
            $crate::suite::tests!($backend, idempotency:
                a_key_is_new_once_and_then_runs_until_it_is_done,
                only_the_owner_can_end_a_marker,
                an_answer_stays_as_it_is,
                a_lease_is_renewed_by_its_owner_only,
                what_has_expired_is_not_known_and_is_deleted_in_batches,
                of_many_that_begin_at_once_one_is_new,
            );
            $crate::suite::tests!($backend, switches:
                the_last_one_counts_and_all_are_listed_by_name,
                letting_go_leaves_the_others,
            );
            $crate::suite::tests!($backend, objects:
                an_object_comes_back_with_every_field_and_its_parts,
                a_name_is_given_once,
                what_has_expired_is_not_there_and_is_deleted_in_batches,
                an_owners_objects_are_listed_in_pages_in_both_directions,
                a_change_counts_only_for_the_version_that_was_read,
                a_part_is_added_once,
                parts_come_in_pages_of_a_size,
                only_the_owner_deletes_and_all_of_it_goes,
                work_is_claimed_by_one_and_by_another_when_the_lease_is_over,
                of_many_that_claim_at_once_each_gets_another,
                a_quota_of_objects_and_of_bytes_is_kept,
                of_many_at_once_no_more_than_the_quota_get_in,
                an_idempotency_key_ends_with_the_insertion_or_neither_happens,
                the_oldest_go_when_an_owner_has_too_many,
            );
            $crate::suite::tests!($backend, lifecycle:
                closing_again_does_nothing,
                everyone_is_answered_while_it_closes,
            );
        }
    };
}

macro_rules! tests {
    // One server for all of it: a test for each statement would start one each.
    (postgres, $area:ident: $($statement:ident),+ $(,)?) => {
        pub(crate) mod $area {
            pub(crate) async fn hold(server: &seaworthy_test_servers::Postgres) {
                $(
                    let fresh = $crate::backends::postgres(server).await;
                    eprintln!("{}", stringify!($statement));
                    $crate::suite::$area::$statement(&fresh.stores).await;
                )+
            }
        }
    };
    ($backend:ident, $area:ident: $($statement:ident),+ $(,)?) => {
        mod $area {
            $(
                #[tokio::test]
                async fn $statement() {
                    let fresh = $crate::backends::$backend().await;
                    $crate::suite::$area::$statement(&fresh.stores).await;
                }
            )+
        }
    };
}

pub(crate) use {conformance, tests};
