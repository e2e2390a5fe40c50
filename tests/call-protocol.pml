/* The call protocol of one plugin: who may call an instance, what its deadline does, and what becomes of it while a call of it has not
 * returned. For Spin; tests/call-protocol.sh checks it, and each planted bug (-DBUG_…).
 *
 * One `atomic` is one critical section of the plugin's cell (engine/src/cell). What is between them is what others may do meanwhile. Two
 * workers call, the watchdog may abandon a call at any moment of it, and one person resets, reloads, unloads and shuts down in any order.
 * An instance is a number from 1; each reload brings a library of its own, a reset another instance of the same one.
 */

#define INSTANCES 5 /* number 0 is none */
#define LIBRARIES 3
#define COMMANDS 2 /* of the person, before the shutdown */
#define TICKS 2 /* of each worker */

mtype = { Enabled, Running, Unloaded };

/* The cell. */
mtype state = Enabled;
byte in_flight = 0;      /* the number of the call that is in flight; 0 for none */
bool abandoned = false;  /* its deadline has passed */
byte home = 1;           /* the instance, unless it is in a call or there is none */
byte current = 1;        /* the instance that is the plugin's; 0 for none */
byte waiters = 0;        /* commands that hold updates back */
bool stopping = false;

/* What they are of, and what the system has mapped. */
byte library_of[INSTANCES];
bool mapped[LIBRARIES];
byte loaded = 0; /* the library that the plugin is loaded from */

byte last_call = 0;
byte last_instance = 1;
byte last_library = 0;

/* Ghosts: what the properties speak of. */
byte calls_in[INSTANCES]; /* calls of the instance that have not returned */
bool destroyed[INSTANCES];
byte starts = 0;
byte ends = 0;
byte ended_by[12]; /* how many ends were recorded of a call */
byte lates = 0;
byte abandons = 0;
bool is_unloaded = false; /* somebody unloaded it, and nobody loads it in this model */
byte done = 0;

/* One end for each call (C6). */
inline record_end(call) {
    ends++;
    ended_by[call]++;
    assert(ended_by[call] == 1);
}

/* Code of the instance runs. C1: of one call at a time; L7: its code is mapped; and it has not been destroyed. */
inline enter_code(instance) {
    atomic {
        calls_in[instance]++;
        assert(calls_in[instance] == 1);
        assert(mapped[library_of[instance]]);
        assert(!destroyed[instance]);
    }
}

inline leave_code(instance) {
    atomic {
        assert(mapped[library_of[instance]]);
        calls_in[instance]--;
    }
}

inline destroy(instance) {
    enter_code(instance);
    atomic {
        leave_code(instance);
        destroyed[instance] = true;
    }
}

proctype Worker() {
    byte mine, call, ticks;
    do
    :: ticks < TICKS ->
        ticks++;
        mine = 0;
        atomic {
            /* The claim. */
            if
#ifdef BUG_CLAIMS_WHILE_A_CALL_IS_STUCK
            :: state == Enabled && current != 0 && waiters == 0 && !stopping ->
                mine = current;
#else
            :: state == Enabled && home != 0 && in_flight == 0 && waiters == 0 && !stopping ->
                mine = home;
#endif
                home = 0;
                last_call++;
                call = last_call;
                in_flight = call;
                abandoned = false;
                state = Running;
                starts++;
            :: else /* skipped, and counted */
            fi
        }
        if
        :: mine != 0 ->
            enter_code(mine);
            /* The call takes as long as it likes: everything else may happen here. */
            leave_code(mine);
            atomic {
                if
#ifdef BUG_LATE_RETURN_COUNTS
                :: in_flight == call ->
#else
                :: in_flight == call && !abandoned ->
#endif
                    record_end(call);
                    in_flight = 0;
                    state = Enabled;
#ifndef BUG_INSTANCE_IS_NOT_GIVEN_BACK
                    home = mine;
#endif
                    mine = 0
                :: in_flight == call && abandoned ->
                    lates++;
                    in_flight = 0;
                    abandoned = false;
                    if
                    :: current == mine ->
                        home = mine;
                        mine = 0
                    :: else
                    fi
                :: in_flight != call ->
                    /* The plugin has gone on without it. */
                    lates++;
#ifdef BUG_LATE_INSTANCE_IS_PUT_BACK
                    home = mine;
                    current = mine;
                    state = Enabled;
                    mine = 0
#endif
                fi
            }
            if
            :: mine != 0 -> destroy(mine)
            :: else
            fi
        :: else
        fi
    :: else -> break
    od
    done++
}

/* A deadline passes at any moment of a call, or never. */
proctype Watchdog() {
    do
    :: atomic {
#ifdef BUG_ABANDONS_WITHOUT_ASKING_WHETHER_IT_ENDED
        last_call > 0 && abandons < 2 ->
            abandons++;
            record_end(last_call);
            abandoned = true;
            state = Enabled
#else
        in_flight != 0 && !abandoned && abandons < 2 ->
            abandons++;
            record_end(in_flight);
            abandoned = true;
            state = Enabled
#endif
        }
    :: done == 3 -> break
    od
}

/* Waits, with the cell, until no call is in flight that somebody waits for. Updates are held back meanwhile. */
#define SETTLED (in_flight == 0 || abandoned)

inline await_settled() {
    atomic { waiters++ }
    atomic {
        SETTLED;
        waiters--
    }
}

/* A call that is stuck is its plugin's no more: it is an orphan. */
inline give_up_stuck_call() {
    in_flight = 0;
    abandoned = false
}

proctype Person() {
    byte left, commands, made;
    do
    :: commands < COMMANDS && state != Unloaded ->
        commands++;
        left = 0;
        if
        :: /* reset: another instance of the same library */
            await_settled();
            atomic {
                if
                :: SETTLED && state != Unloaded ->
                    left = home;
                    home = 0;
                    give_up_stuck_call();
                    last_instance++;
                    library_of[last_instance] = loaded;
                    current = last_instance;
                    home = last_instance
                :: else
                fi
            }
        :: last_library + 1 < LIBRARIES ->
            /* reload: a candidate that is nobody's until it takes over, between two calls or beside one that is stuck */
            atomic {
                last_library++;
                mapped[last_library] = true;
                last_instance++;
                made = last_instance;
                library_of[made] = last_library
            }
            enter_code(made); /* its trial */
            leave_code(made);
#ifndef BUG_SWITCHES_DURING_A_CALL
            await_settled();
#endif
            atomic {
                if
#ifdef BUG_SWITCHES_DURING_A_CALL
                :: state != Unloaded ->
#else
                :: SETTLED && state != Unloaded ->
#endif
                    left = home;
                    give_up_stuck_call();
                    current = made;
                    home = made;
                    loaded = library_of[made]
                :: else ->
                    left = made /* refused: the one before goes on */
                fi
            }
        :: /* unload */
            await_settled();
            atomic {
                if
                :: SETTLED ->
                    left = home;
                    home = 0;
                    current = 0;
                    state = Unloaded;
                    give_up_stuck_call();
                    is_unloaded = true
                :: else
                fi
            }
        fi;
        if
        :: left != 0 -> destroy(left)
        :: else
        fi
    :: commands < COMMANDS && state == Unloaded -> break
    :: commands == COMMANDS -> break
    od;
    /* shutdown: who has not returned by then is abandoned, not waited for */
    atomic {
        stopping = true;
        if
        :: in_flight != 0 && !abandoned ->
            record_end(in_flight);
            abandoned = true;
            state = Enabled
        :: else
        fi;
        left = home;
        home = 0;
        current = 0;
        give_up_stuck_call();
        state = Unloaded;
        is_unloaded = true
    }
    if
    :: left != 0 -> destroy(left)
    :: else
    fi;
    done++
}

/* Unmaps a library at any moment at which that is safe: it is not the active one, and no instance of it is anywhere but destroyed. */
proctype Reaper() {
    byte library, instance;
    bool used;
    do
    :: atomic {
        done < 3 ->
            library = 0;
            do
            :: library < LIBRARIES ->
                used = (library == loaded && current != 0);
                instance = 1;
                do
                :: instance <= last_instance ->
#ifdef BUG_UNMAPS_UNDER_AN_ABANDONED_CALL
                    used = used || (library_of[instance] == library && home == instance);
#else
                    used = used || (library_of[instance] == library && !destroyed[instance]);
#endif
                    instance++
                :: else -> break
                od;
                if
                :: !used && library <= last_library -> mapped[library] = false
                :: else
                fi;
                library++
            :: else -> break
            od;
            library = 0;
            instance = 0;
            used = false
        }
    :: done == 3 -> break
    od
}

init {
    atomic {
        mapped[0] = true;
        run Worker();
        run Worker();
        run Watchdog();
        run Person();
        run Reaper()
    }
    /* Everybody is through: the claim was released on every way out, and every start has its end. */
    done == 3;
    atomic {
        assert(starts == ends);
        assert(in_flight == 0);
        assert(waiters == 0);
        assert(state == Unloaded && home == 0)
    }
}

/* L7: what was unloaded stays so. C3: while a call is abandoned, nobody else is in its instance (with C1 above). C6: a plugin that is
 * Enabled and that nothing holds has its instance at home, so that its next tick is made. */
ltl stays_unloaded { [] (is_unloaded -> state == Unloaded) }
ltl can_be_called_again { [] ((state == Enabled && in_flight == 0) -> home != 0) }
