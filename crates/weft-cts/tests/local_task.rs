//! Every family on local-task: numbers of workers and queues, sizes of transfers that are cut, waits that help.

weft_cts::every_family! { task_1 = weft_cts::subject::task_1;
    profile: weft_cts::hal::profile::PROFILE, for_each_profile_case;
}
weft_cts::every_family! { task_2 = weft_cts::subject::task_2;
    profile: weft_cts::hal::profile::PROFILE, for_each_profile_case;
}
weft_cts::every_family! { task_8_tiled = weft_cts::subject::task_8_tiled;
    profile: weft_cts::hal::profile::PROFILE, for_each_profile_case;
}
weft_cts::every_family! { task_2_queues = weft_cts::subject::task_2_queues;
    profile: weft_cts::hal::profile::PROFILE, for_each_profile_case;
}
weft_cts::every_family! { task_1_queues_tiled = weft_cts::subject::task_1_queues_tiled;
    profile: weft_cts::hal::profile::PROFILE, for_each_profile_case;
}
weft_cts::every_family! { task_1_lending = weft_cts::subject::task_1_lending;
    profile: weft_cts::hal::profile::PROFILE, for_each_profile_case;
}
weft_cts::every_family! { task_2_lending = weft_cts::subject::task_2_lending;
    profile: weft_cts::hal::profile::PROFILE, for_each_profile_case;
}
