//! Every family on the null device: what needs no work to show.

weft_cts::every_family! { null_hal = weft_cts::subject::null_hal;
    profile: weft_cts::hal::profile::PROFILE, for_each_profile_case;
}
