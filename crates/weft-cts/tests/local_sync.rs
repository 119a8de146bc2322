//! Every family on the local-sync device.

weft_cts::every_family! { local_sync = weft_cts::subject::local_sync;
    profile: weft_cts::hal::profile::PROFILE, for_each_profile_case;
}
