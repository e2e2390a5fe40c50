//! What is expected, by hand: states and causes, states and commands, and every event in every situation.

/// Which state follows which; `-` is illegal.
pub(crate) const TRANSITIONS: &str = "
cause              | Unloaded | Loaded   | Enabled  | Running | Error    | Disabled
mapped             | Loaded   | -        | -        | -       | -        | -
load_failed        | Error    | -        | -        | -       | -        | -
created            | -        | Enabled  | -        | -       | -        | -
create_failed      | -        | Error    | Error    | -       | Error    | Error
requirement_unmet  | -        | Error    | -        | -       | Error    | Error
requirement_met    | -        | -        | -        | -       | Enabled  | -
update_started     | -        | -        | Running  | -       | -        | -
update_completed   | -        | -        | -        | Enabled | -        | -
update_failed      | -        | -        | -        | Enabled | -        | -
update_timed_out   | -        | -        | -        | Enabled | -        | -
update_panicked    | -        | -        | -        | Enabled | -        | -
failed_permanently | -        | -        | -        | Error   | -        | -
display_failed     | -        | -        | Enabled  | -       | -        | -
destroy_failed     | Unloaded | Loaded   | Enabled  | Running | Error    | Disabled
created_anew       | -        | -        | Enabled  | -       | -        | -
gave_up            | -        | Error    | Error    | -       | Error    | Error
unhealthy          | -        | -        | Error    | -       | -        | -
turned_unhealthy   | -        | -        | Enabled  | -       | -        | -
restarted          | -        | -        | -        | -       | Enabled  | -
replaced           | -        | -        | Enabled  | -       | -        | -
recovered          | -        | -        | Enabled  | -       | -        | -
breaker_opened     | -        | -        | Enabled  | -       | -        | -
breaker_closed     | -        | -        | Enabled  | -       | -        | -
limit_passed       | -        | -        | Enabled  | Running | -        | -
limits_kept        | -        | -        | Enabled  | Running | -        | -
call_refused       | -        | Error    | Enabled  | -       | Error    | -
returned_late      | Unloaded | Loaded   | Enabled  | Running | Error    | Disabled
thread_panicked    | Unloaded | Loaded   | Enabled  | Running | Error    | Disabled
switched_on        | -        | -        | -        | -       | Enabled  | Enabled
switched_off       | -        | Disabled | Disabled | -       | Disabled | -
reset              | -        | -        | Enabled  | -       | Enabled  | Enabled
reloaded           | -        | -        | Enabled  | -       | Enabled  | Disabled
reload_refused     | Unloaded | Loaded   | Enabled  | Running | Error    | Disabled
rolled_back        | -        | -        | Enabled  | -       | Enabled  | Disabled
reconfigured       | -        | Loaded   | Enabled  | -       | Error    | Disabled
save_failed        | -        | -        | Enabled  | -       | -        | -
unloaded           | -        | Unloaded | Unloaded | -       | Unloaded | Unloaded
file_removed       | -        | Unloaded | Unloaded | -       | Unloaded | Unloaded
shut_down          | -        | Unloaded | Unloaded | -       | Unloaded | Unloaded
crashed            | Unloaded | -        | -        | -       | -        | -
interrupted        | Unloaded | -        | -        | -       | -        | -
quarantined        | Error    | -        | -        | -       | -        | -
";

/// Which state admits which command.
pub(crate) const ADMISSIONS: &str = "
command | Unloaded   | Loaded     | Enabled    | Running        | Error    | Disabled
load    | Accepted   | AlreadySo  | AlreadySo  | AlreadySo      | Denied   | AlreadySo
enable  | Denied     | AlreadySo  | AlreadySo  | AlreadySo      | Accepted | Accepted
disable | Denied     | Accepted   | Accepted   | WhenCallEnds   | Accepted | AlreadySo
reset   | Denied     | Denied     | Accepted   | WhenCallEnds   | Accepted | Accepted
update  | Denied     | Denied     | Accepted   | WhenCallEnds   | Denied   | Denied
display | Denied     | Denied     | Accepted   | WhenCallEnds   | Denied   | Denied
unload  | AlreadySo  | Accepted   | Accepted   | WhenCallEnds   | Accepted | Accepted
reload  | Accepted   | Accepted   | Accepted   | WhenCallEnds   | Accepted | Accepted
forget  | Accepted   | Denied     | Denied     | Denied         | Denied   | Denied
";

/// Every event in every state, with no call in flight but the update of Running. A cell is the cause of the entry,
/// `.` if the event is taken without one, or `-` if it is refused.
pub(crate) const EVENTS: &str = "
event             | Unloaded        | Loaded            | Enabled         | Running            | Error             | Disabled
mapped            | mapped          | -                 | -               | -                  | -                 | -
load failed       | load_failed     | -                 | -               | -                  | -                 | -
held back         | -               | requirement_unmet | -               | -                  | requirement_unmet | requirement_unmet
update, due       | -               | -                 | update_started  | -                  | -                 | -
update, on demand | -               | -                 | update_started  | -                  | -                 | -
display           | -               | -                 | .               | -                  | -                 | -
create, load      | -               | .                 | -               | -                  | -                 | -
create, switch    | -               | -                 | -               | -                  | .                 | .
create, reset     | -               | -                 | .               | -                  | .                 | .
create, anew      | -               | -                 | .               | -                  | -                 | -
create, met       | -               | -                 | -               | -                  | -                 | -
create, restart   | -               | -                 | -               | -                  | -                 | -
create, hung      | -               | -                 | -               | -                  | -                 | -
destroy           | .               | .                 | .               | -                  | .                 | .
completed         | -               | -                 | -               | update_completed   | -                 | -
failed            | -               | -                 | -               | update_failed      | -                 | -
failed for good   | -               | -                 | -               | failed_permanently | -                 | -
panicked          | -               | -                 | -               | update_panicked    | -                 | -
deadline          | -               | -                 | -               | update_timed_out   | -                 | -
stop              | -               | -                 | -               | update_timed_out   | -                 | -
tick skipped      | .               | .                 | .               | .                  | .                 | .
call refused      | -               | -                 | call_refused    | -                  | -                 | -
create refused    | -               | call_refused      | -               | -                  | -                 | -
thread panicked   | thread_panicked | thread_panicked   | thread_panicked | thread_panicked    | thread_panicked   | thread_panicked
judged            | -               | -                 | -               | -                  | -                 | -
restart refused   | -               | -                 | -               | -                  | -                 | -
limit passed      | -               | -                 | limit_passed    | limit_passed       | -                 | -
limits kept       | -               | -                 | .               | .                  | -                 | -
settings hold     | .               | .                 | .               | .                  | .                 | .
switched off      | -               | switched_off      | switched_off    | -                  | switched_off      | -
reloaded          | -               | -                 | reloaded        | -                  | reloaded          | reloaded
rolled back       | -               | -                 | rolled_back     | -                  | rolled_back       | rolled_back
reload refused    | reload_refused  | reload_refused    | reload_refused  | reload_refused     | reload_refused    | reload_refused
not put back      | -               | -                 | create_failed   | -                  | -                 | -
replaced not gone | destroy_failed  | destroy_failed    | destroy_failed  | destroy_failed     | destroy_failed    | destroy_failed
reconfigured      | -               | reconfigured      | reconfigured    | -                  | reconfigured      | reconfigured
save              | -               | -                 | .               | -                  | -                 | -
unloaded          | -               | unloaded          | unloaded        | -                  | unloaded          | unloaded
file removed      | -               | file_removed      | file_removed    | -                  | file_removed      | file_removed
shut down         | -               | shut_down         | shut_down       | -                  | shut_down         | shut_down
crashed           | crashed         | -                 | -               | -                  | -                 | -
interrupted       | interrupted     | -                 | -               | -                  | -                 | -
quarantined       | quarantined     | -                 | -               | -                  | -                 | -
";

/// The same while another call than an update is in flight and waited for.
pub(crate) const EVENTS_DURING_A_CALL: &str = "
event             | loading         | switching on    | mending         | coming back     | resetting       | anew            | displaying      | destroying
mapped            | -               | -               | -               | -               | -               | -               | -               | -
load failed       | -               | -               | -               | -               | -               | -               | -               | -
held back         | -               | -               | -               | -               | -               | -               | -               | -
update, due       | -               | -               | -               | -               | -               | -               | -               | -
update, on demand | -               | -               | -               | -               | -               | -               | -               | -
display           | -               | -               | -               | -               | -               | -               | -               | -
create, load      | -               | -               | -               | -               | -               | -               | -               | -
create, switch    | -               | -               | -               | -               | -               | -               | -               | -
create, reset     | -               | -               | -               | -               | -               | -               | -               | -
create, anew      | -               | -               | -               | -               | -               | -               | -               | -
create, met       | -               | -               | -               | -               | -               | -               | -               | -
create, restart   | -               | -               | -               | -               | -               | -               | -               | -
create, hung      | -               | -               | -               | -               | -               | -               | -               | -
destroy           | -               | -               | -               | -               | -               | -               | -               | -
completed         | created         | switched_on     | reset           | requirement_met | reset           | created_anew    | .               | .
failed            | create_failed   | create_failed   | create_failed   | create_failed   | create_failed   | create_failed   | display_failed  | destroy_failed
failed for good   | create_failed   | create_failed   | create_failed   | create_failed   | create_failed   | create_failed   | display_failed  | destroy_failed
panicked          | create_failed   | create_failed   | create_failed   | create_failed   | create_failed   | create_failed   | display_failed  | destroy_failed
deadline          | create_failed   | create_failed   | create_failed   | create_failed   | create_failed   | create_failed   | display_failed  | destroy_failed
stop              | create_failed   | create_failed   | create_failed   | create_failed   | create_failed   | create_failed   | display_failed  | destroy_failed
tick skipped      | .               | .               | .               | .               | .               | .               | .               | .
call refused      | -               | -               | -               | -               | call_refused    | call_refused    | call_refused    | call_refused
create refused    | -               | -               | -               | -               | -               | -               | -               | -
thread panicked   | thread_panicked | thread_panicked | thread_panicked | thread_panicked | thread_panicked | thread_panicked | thread_panicked | thread_panicked
judged            | -               | -               | -               | -               | -               | -               | -               | -
restart refused   | -               | -               | -               | -               | -               | -               | -               | -
limit passed      | -               | -               | -               | -               | limit_passed    | limit_passed    | limit_passed    | limit_passed
limits kept       | -               | -               | -               | -               | .               | .               | .               | .
settings hold     | .               | .               | .               | .               | .               | .               | .               | .
switched off      | -               | -               | -               | -               | -               | -               | -               | -
reloaded          | -               | -               | -               | -               | -               | -               | -               | -
rolled back       | -               | -               | -               | -               | -               | -               | -               | -
reload refused    | reload_refused  | reload_refused  | reload_refused  | reload_refused  | reload_refused  | reload_refused  | reload_refused  | reload_refused
not put back      | -               | -               | -               | -               | -               | -               | -               | -
replaced not gone | destroy_failed  | destroy_failed  | destroy_failed  | destroy_failed  | destroy_failed  | destroy_failed  | destroy_failed  | destroy_failed
reconfigured      | -               | -               | -               | -               | -               | -               | -               | -
save              | -               | -               | -               | -               | -               | -               | -               | -
unloaded          | -               | -               | -               | -               | -               | -               | -               | -
file removed      | -               | -               | -               | -               | -               | -               | -               | -
shut down         | -               | -               | -               | -               | -               | -               | -               | -
crashed           | -               | -               | -               | -               | -               | -               | -               | -
interrupted       | -               | -               | -               | -               | -               | -               | -               | -
quarantined       | -               | -               | -               | -               | -               | -               | -               | -
";

/// The same beside a call that was abandoned and has not returned.
pub(crate) const EVENTS_BESIDE_A_STUCK_CALL: &str = "
event             | update          | display         | create            | destroy         | off               | gone
mapped            | -               | -               | -                 | -               | -                 | mapped
load failed       | -               | -               | -                 | -               | -                 | load_failed
held back         | -               | -               | requirement_unmet | -               | requirement_unmet | -
update, due       | -               | -               | -                 | -               | -                 | -
update, on demand | -               | -               | -                 | -               | -                 | -
display           | -               | -               | -                 | -               | -                 | -
create, load      | -               | -               | -                 | -               | -                 | -
create, switch    | -               | -               | .                 | -               | .                 | -
create, reset     | .               | .               | .                 | .               | .                 | -
create, anew      | .               | .               | -                 | .               | -                 | -
create, met       | -               | -               | -                 | -               | -                 | -
create, restart   | -               | -               | -                 | -               | -                 | -
create, hung      | -               | -               | -                 | -               | -                 | -
destroy           | -               | -               | -                 | -               | -                 | -
completed         | returned_late   | returned_late   | returned_late     | returned_late   | returned_late     | returned_late
failed            | returned_late   | returned_late   | returned_late     | returned_late   | returned_late     | returned_late
failed for good   | returned_late   | returned_late   | returned_late     | returned_late   | returned_late     | returned_late
panicked          | returned_late   | returned_late   | returned_late     | returned_late   | returned_late     | returned_late
deadline          | -               | -               | -                 | -               | -                 | -
stop              | -               | -               | -                 | -               | -                 | -
tick skipped      | .               | .               | .                 | .               | .                 | .
call refused      | call_refused    | call_refused    | -                 | call_refused    | -                 | -
create refused    | -               | -               | -                 | -               | -                 | -
thread panicked   | thread_panicked | thread_panicked | thread_panicked   | thread_panicked | thread_panicked   | thread_panicked
judged            | -               | -               | -                 | -               | -                 | -
restart refused   | -               | -               | -                 | -               | -                 | -
limit passed      | limit_passed    | limit_passed    | -                 | limit_passed    | -                 | -
limits kept       | .               | .               | -                 | .               | -                 | -
settings hold     | .               | .               | .                 | .               | .                 | .
switched off      | switched_off    | switched_off    | switched_off      | switched_off    | -                 | -
reloaded          | reloaded        | reloaded        | reloaded          | reloaded        | reloaded          | -
rolled back       | rolled_back     | rolled_back     | rolled_back       | rolled_back     | rolled_back       | -
reload refused    | reload_refused  | reload_refused  | reload_refused    | reload_refused  | reload_refused    | reload_refused
not put back      | create_failed   | create_failed   | -                 | create_failed   | -                 | -
replaced not gone | destroy_failed  | destroy_failed  | destroy_failed    | destroy_failed  | destroy_failed    | destroy_failed
reconfigured      | reconfigured    | reconfigured    | reconfigured      | reconfigured    | reconfigured      | -
save              | -               | -               | -                 | -               | -                 | -
unloaded          | unloaded        | unloaded        | unloaded          | unloaded        | unloaded          | -
file removed      | file_removed    | file_removed    | file_removed      | file_removed    | file_removed      | -
shut down         | shut_down       | shut_down       | shut_down         | shut_down       | shut_down         | -
crashed           | -               | -               | -                 | -               | -                 | crashed
interrupted       | -               | -               | -                 | -               | -                 | interrupted
quarantined       | -               | -               | -                 | -               | -                 | quarantined
";
