/* alarm_table: what a person must look at before it becomes real. One row each: name and reason. Whoever accepts an
 * alarm names it (`--accept NAME[:PATH]` of run and apply). */
#ifndef POLICY_ALARM_TABLE_H
#define POLICY_ALARM_TABLE_H

#define ALARM_TABLE(X)                                                                                       \
    X(MASS_DELETION, "mass-deletion", "many files deleted at once")                                          \
    X(SETID, "set-id", "a set-user-ID or set-group-ID bit: cleared, whatever you choose")                    \
    X(SPECIAL, "special-file", "a device, pipe or socket: left out, whatever you choose")                    \
    X(UNREADABLE, "unreadable", "cannot be taken over: left out, whatever you choose")                       \
    X(LINK_OUT, "link-out", "a link that points out of the tree")                                            \
    X(BINARY_REPLACED, "binary-replaced", "a program or library of the host is replaced")                    \
    X(GIT_HOOK, "git-hook", "git runs it by itself")                                                         \
    X(GIT_CONFIG, "git-config", "git runs what this names")                                                  \
    X(HOOK_MANAGER, "hook-manager", "runs at the next commit")                                               \
    X(SHELL_ENTRY, "shell-entry", "a shell runs it when it enters the folder")                               \
    X(SHELL_START, "shell-start", "every new shell or session runs it")                                      \
    X(EDITOR, "editor", "an editor runs what this names when it opens the folder")                           \
    X(AGENT, "agent-config", "instructs coding agents, or runs what it names for them")                      \
    X(PACKAGE_SCRIPT, "package-script", "a package manager runs it")                                         \
    X(PACKAGE_CONFIG, "package-config", "says where packages come from, or runs code")                       \
    X(BUILD, "build-file", "the next build or test runs it")                                                 \
    X(CI, "ci-file", "the project's servers run it")                                                         \
    X(PYTHON_START, "python-start", "every Python that starts there runs it")                                \
    X(SSH, "ssh", "who may log in, and what ssh runs")                                                       \
    X(SCHEDULE, "schedule", "the system runs it at its time")                                                \
    X(TOOL_CONFIG, "tool-config", "a program that reads it runs what it names, or shows it secrets")

enum alarm {
    ALARM_NONE,
#define ALARM_ID(id, name, why) ALARM_##id,
    ALARM_TABLE(ALARM_ID)
#undef ALARM_ID
        ALARM_COUNT,
};

#endif
