/* tool_table: what a model is told about each tool. One row each; the schemas are made from it.
 *
 * Lives in: strongroom-mcp. Must not: promise what the tool does not do. */
#include "mcp/tool_fns.h"

#define DENIALS                                                                                              \
    "'denials':{'type':'array','description':'what the room refused; allow is the option with which a "      \
    "person could "                                                                                          \
    "start this server so that it is let','items':{'type':'object','properties':{'layer':{'type':'string'}," \
    "'what':{'type':'string'},'object':{'type':'string'},'count':{'type':'integer'},'why':{'type':'string'}" \
    ","                                                                                                      \
    "'allow':{'type':'string'}},'required':['layer','what','count']}}"

/* Of a cell, beside what a run has. */
#define CELL                                                                                                 \
    "'values':{'type':'array','description':'of the last expression, of display() and figures, in each "     \
    "form "                                                                                                  \
    "that they have','items':{'type':'object','properties':{'type':{'type':'string','description':'media "   \
    "type'},'bytes':{'type':'integer','description':'of the whole value'},'text':{'type':'string'},"         \
    "'truncated':{'type':'boolean'},'content_index':{'type':'integer','description':'which part of the "     \
    "content is this picture'}},'required':['type','bytes']}},"                                              \
    "'state':{'type':'string','description':'kept, or gone: the next cell starts anew'},"                    \
    "'cell':{'type':'integer','description':'its number in the interpreter'},"                               \
    "'error':{'type':'object','properties':{'name':{'type':'string'},'text':{'type':'string'}},"             \
    "'required':['name','text']},"

#define RUN_OUTPUT RUN_OUTPUT_WITH("")
#define RUN_OUTPUT_WITH(more)                                                                                \
    "{'type':'object','properties':{" more                                                                   \
    "'stdout':{'type':'string','description':'control characters are shown as \\\\xNN'},"                    \
    "'stderr':{'type':'string'},"                                                                            \
    "'exit_code':{'type':'integer','description':'of the program; 124 time limit, 137 memory, 128+n signal " \
    "n'},"                                                                                                   \
    "'outcome':{'type':'string','description':'exited, signalled, timeout, cpu-time, memory, output, "       \
    "interrupted, "                                                                                          \
    "not-run, lost, or of a cell ended: with its interpreter'},"                                             \
    "'timed_out':{'type':'boolean'},"                                                                        \
    "'truncated':{'type':'boolean','description':'the middle of stdout or stderr was left out here'},"       \
    "'stdout_bytes':{'type':'integer','description':'printed in all'},"                                      \
    "'stderr_bytes':{'type':'integer'},"                                                                     \
    "'duration_ms':{'type':'integer'},"                                                                      \
    "'changes':{'type':'array','description':'to workspaces, kept for "                                      \
    "workspace_review','items':{'type':'object',"                                                            \
    "'properties':{'change_id':{'type':'string'},'state':{'type':'string'},'deleted':{'type':'integer'},"    \
    "'modified':{'type':'integer'},'added':{'type':'integer'},'alarms':{'type':'integer'}},"                 \
    "'required':['change_id']}},"                                                                            \
    "'run_id':{'type':'string','description':'for sandbox_read_file and explain_denial'},"                   \
    "'message':{'type':'string','description':'what to know or to do next, where there is "                  \
    "something'}," DENIALS "},'required':['stdout','stderr','exit_code','outcome','timed_out','truncated','" \
    "stdout_bytes','stderr_bytes',"                                                                          \
    "'duration_ms','run_id','denials']}"

#define READ_OUTPUT                                                                                          \
    "{'type':'object','properties':{'content':{'type':'string'},'encoding':{'type':'string'},"               \
    "'offset':{'type':'integer'},'bytes':{'type':'integer','description':'of the file, in this content'},"   \
    "'size':{'type':'integer'},'next_offset':{'type':'integer','description':'where to read on'},"           \
    "'at_end':{'type':'boolean'}},"                                                                          \
    "'required':['content','encoding','offset','bytes','size','next_offset','at_end']}"

#define PROCESS_OUTPUT                                                                                       \
    "{'type':'object','properties':{'content':{'type':'string'},'encoding':{'type':'string'},"               \
    "'offset':{'type':'integer'},'bytes':{'type':'integer','description':'of the stream, in this content'}," \
    "'size':{'type':'integer','description':'printed so far'},"                                              \
    "'next_offset':{'type':'integer','description':'where to read on'},'at_end':{'type':'boolean'},"         \
    "'lost_bytes':{'type':'integer','description':'asked for, but no longer kept'},"                         \
    "'running':{'type':'boolean'},'exit_code':{'type':'integer'}},"                                          \
    "'required':['content','encoding','offset','bytes','size','next_offset','at_end','lost_bytes','running'" \
    "]}"

#define PROCESSES                                                                                            \
    "{'type':'object','properties':{'processes':{'type':'array','items':{'type':'object','properties':{"     \
    "'process_id':{'type':'integer'},'command':{'type':'string'},'running':{'type':'boolean'},"              \
    "'exit_code':{'type':'integer'},'age_seconds':{'type':'integer'},'stdout_bytes':{'type':'integer'},"     \
    "'stderr_bytes':{'type':'integer'}},'required':['process_id','command','running','age_seconds',"         \
    "'stdout_bytes','stderr_bytes']}}},'required':['processes']}"

#define CREATED                                                                                              \
    "{'type':'object','properties':{'sandbox_id':{'type':'string'},'lifetime_seconds':{'type':'integer'}},"  \
    "'required':['sandbox_id','lifetime_seconds']}"

#define LISTED                                                                                               \
    "{'type':'object','properties':{'sandboxes':{'type':'array','items':{'type':'object','properties':{"     \
    "'sandbox_id':{'type':'string'},'seconds_left':{'type':'integer'},'processes':{'type':'integer'},"       \
    "'memory_bytes':{'type':'integer'}},'required':['sandbox_id']}}},'required':['sandboxes']}"

#define FILES                                                                                                \
    "{'type':'object','properties':{'entries':{'type':'array','items':{'type':'object','properties':{"       \
    "'name':{'type':'string'},'type':{'type':'string'},'size':{'type':'integer'}},"                          \
    "'required':['name','type','size']}},'truncated':{'type':'boolean'}},'required':['entries','truncated']" \
    "}"

#define WRITTEN                                                                                              \
    "{'type':'object','properties':{'path':{'type':'string'},'bytes':{'type':'integer'}},'required':['path'" \
    ",'bytes']}"

#define KILLED                                                                                               \
    "{'type':'object','properties':{'sandbox_id':{'type':'string'},'ended':{'type':'boolean'}},"             \
    "'required':['sandbox_id','ended']}"

#define REVIEWED                                                                                             \
    "{'type':'object','properties':{'change_id':{'type':'string'},'review':{'type':'string'},"               \
    "'truncated':{'type':'boolean'}},'required':['change_id','review','truncated']}"

#define APPLIED                                                                                              \
    "{'type':'object','properties':{'change_id':{'type':'string'},'applied':{'type':'boolean'},"             \
    "'message':{'type':'string'}},'required':['change_id','applied','message']}"

#define ID_ARG                                                                                               \
    {                                                                                                        \
        "sandbox_id", TYPE_TEXT, true, 1, 64, NULL, "from sandbox_create"                                    \
    }
#define PROCESS_ARGS                                                                                         \
    ID_ARG,                                                                                                  \
    {                                                                                                        \
        "process_id", TYPE_NUMBER, true, 1, INT32_MAX, NULL, "from sandbox_start_process"                    \
    }
#define PATH_ARG(what)                                                                                       \
    {                                                                                                        \
        "path", TYPE_TEXT, true, 1, 4000, NULL, what                                                         \
    }
#define CHANGE_ARGS                                                                                          \
    {"change_id", TYPE_TEXT, true, 1, 39, NULL, "from changes in the result of a run"},                      \
    {                                                                                                        \
        "paths", TYPE_LIST, false, 0, 200, NULL, "only what lies at or below these paths of the workspace"   \
    }

#define LIMIT_ARGS                                                                                           \
    {"timeout_seconds", TYPE_NUMBER, false, 1, MAX_TIMEOUT, NULL, "wall time until the run is ended"},       \
        {"memory_mb",                                                                                        \
         TYPE_NUMBER,                                                                                        \
         false,                                                                                              \
         8,                                                                                                  \
         MAX_MEMORY,                                                                                         \
         NULL,                                                                                               \
         "memory of the whole room, of a fresh one only"},                                                   \
        {"max_output_bytes",                                                                                 \
         TYPE_NUMBER,                                                                                        \
         false,                                                                                              \
         256,                                                                                                \
         OUTPUT_INLINE_MAX,                                                                                  \
         NULL,                                                                                               \
         "how much of stdout and of stderr the answer holds, 32768 unless given"},                           \
    {                                                                                                        \
        "explain", TYPE_BOOL, false, 0, 0, NULL,                                                             \
            "also record files and peers that the program could not reach; somewhat slower"                  \
    }

const struct tool tools[] = {
    {"run_code",
     "Run code in a sandbox",
     "Runs code. Without sandbox_id: as a program in a new sandbox that is made for this call and gone after "
     "it. "
     "The value of the last expression, display() and figures of matplotlib come back as with a cell, but "
     "for "
     "bash. "
     "With the sandbox_id of sandbox_create: as a cell, like in a notebook. Variables, imports, functions "
     "and files "
     "stay for the next call, one interpreter for each language (typescript shares javascript's); the value "
     "of the "
     "last expression comes back in values, and pictures (matplotlib figures, objects with _repr_png_) as "
     "images; "
     "top-level await works; a cell that reaches its time limit or is cancelled is interrupted and the state "
     "stays; "
     "when the interpreter itself ends, state says gone. stdin is empty. The working directory is writable. "
     "Prints "
     "come back in stdout and stderr. A non-zero exit_code is no error of the tool. Network and files "
     "outside are "
     "closed, except for what the person who started this server allowed; denials tell what was refused.",
     TOOL_OPEN_WORLD,
     RUN_OUTPUT_WITH(CELL),
     tool_run_code,
     {{"code", TYPE_TEXT, true, 0, CODE_MAX, NULL, "the program's text"},
      {"language", TYPE_TEXT, false, 0, 0, "python|javascript|typescript|bash", "python unless given"},
      {"sandbox_id", TYPE_TEXT, false, 1, 64, NULL,
       "run it as a cell in this sandbox of sandbox_create, whose variables and files stay, instead of a "
       "fresh one"},
      LIMIT_ARGS}},
    {"explain_denial",
     "Why was it refused?",
     "Tells why a sandbox refused something and what a person could do about it: of an earlier run (run_id), "
     "or "
     "whether a peer such as pypi.org:443 can be reached (endpoint).",
     TOOL_READS | TOOL_IDEMPOTENT,
     "{'type':'object','properties':{'explanation':{'type':'string'},'allowed':{'type':'boolean'}," DENIALS
     "},'required':['explanation']}",
     tool_explain_denial,
     {{"run_id", TYPE_TEXT, false, 1, 64, NULL, "of an earlier result"},
      {"endpoint", TYPE_TEXT, false, 1, 300, NULL, "HOST or HOST:PORT"}}},
    {"sandbox_read_file",
     "Read a file or a long output",
     "Reads a part of what an earlier run printed: sandbox_id is its run_id, path is stdout or stderr. Kept "
     "are " OUTPUTS_LIFE ". Encoding base64 gives the exact bytes.",
     TOOL_READS | TOOL_IDEMPOTENT,
     READ_OUTPUT,
     tool_read_file,
     {{"sandbox_id", TYPE_TEXT, true, 1, 64, NULL, "from sandbox_create, or a run_id"},
      {"path", TYPE_TEXT, true, 1, 4000, NULL, "a file, or stdout or stderr of a run"},
      {"offset", TYPE_NUMBER, false, 0, INT64_MAX / 2, NULL, "first byte, 0 unless given"},
      {"limit", TYPE_NUMBER, false, 16, OUTPUT_INLINE_MAX, NULL, "bytes at most, 32768 unless given"},
      {"encoding", TYPE_TEXT, false, 0, 0, "text|base64",
       "text unless given: control characters are shown as \\xNN"}}},
    {"sandbox_create",
     "Make a sandbox that lives on",
     "Makes a sandbox whose files and processes stay between calls, until its lifetime is over or "
     "sandbox_kill. It lives "
     "on when this connection ends. For a single run take run_code.",
     0,
     CREATED,
     tool_create,
     {{"timeout_seconds", TYPE_NUMBER, false, 1, MAX_LIFETIME, NULL, "its lifetime, until it ends by itself"},
      {"memory_mb", TYPE_NUMBER, false, 8, MAX_MEMORY, NULL, "memory of the whole sandbox"},
      {"env", TYPE_PAIRS, false, 0, 0, NULL, "variables of its programs"},
      {"allow_internet", TYPE_BOOL, false, 0, 0, NULL,
       "false: nothing is reached, also not what the person who started this server allowed"}}},
    {"sandbox_list",
     "List the sandboxes",
     "Lists the sandboxes that this server made and that live.",
     TOOL_READS | TOOL_IDEMPOTENT,
     LISTED,
     tool_list,
     {{NULL, TYPE_TEXT, false, 0, 0, NULL, NULL}}},
    {"sandbox_exec",
     "Run a command in a sandbox",
     "Runs a shell command (bash) in a sandbox of sandbox_create and waits for its end. What it leaves in "
     "the background "
     "goes on there.",
     TOOL_OPEN_WORLD,
     RUN_OUTPUT,
     tool_exec,
     {ID_ARG,
      {"command", TYPE_TEXT, true, 0, CODE_MAX, NULL, "for bash"},
      {"cwd", TYPE_TEXT, false, 1, 4000, NULL, "where it starts: an absolute path"},
      {"env", TYPE_PAIRS, false, 0, 0, NULL, "more variables"},
      {"timeout_seconds", TYPE_NUMBER, false, 1, MAX_LIFETIME, NULL, "wall time until it is ended"},
      {"max_output_bytes", TYPE_NUMBER, false, 256, OUTPUT_INLINE_MAX, NULL,
       "how much of stdout and of stderr the answer holds, 32768 unless given"}}},
    {"sandbox_start_process",
     "Start a process in the background",
     "Starts a shell command (bash) in a sandbox of sandbox_create and returns at once: for servers and long "
     "work. It "
     "goes on until it ends, sandbox_process_kill, or the sandbox's end. Of each stream the last megabyte is "
     "kept; at "
     "most 16 run in one sandbox, and those that ended give place to new ones.",
     TOOL_OPEN_WORLD,
     "{'type':'object','properties':{'process_id':{'type':'integer'}},'required':['process_id']}",
     tool_start_process,
     {ID_ARG,
      {"command", TYPE_TEXT, true, 1, CODE_MAX, NULL, "for bash"},
      {"cwd", TYPE_TEXT, false, 1, 4000, NULL, "where it starts: an absolute path"},
      {"env", TYPE_PAIRS, false, 0, 0, NULL, "more variables"}}},
    {"sandbox_list_processes",
     "List background processes",
     "Lists what sandbox_start_process started in a sandbox.",
     TOOL_READS | TOOL_IDEMPOTENT,
     PROCESSES,
     tool_list_processes,
     {ID_ARG}},
    {"sandbox_process_output",
     "Read what a background process printed",
     "Reads a part of what a process of sandbox_start_process printed so far, and tells whether it runs. To "
     "follow it, go "
     "on at next_offset.",
     TOOL_READS | TOOL_IDEMPOTENT,
     PROCESS_OUTPUT,
     tool_process_output,
     {PROCESS_ARGS,
      {"stream", TYPE_TEXT, false, 0, 0, "stdout|stderr", "stdout unless given"},
      {"offset", TYPE_NUMBER, false, 0, INT64_MAX / 2, NULL, "first byte, 0 unless given"},
      {"limit", TYPE_NUMBER, false, 16, OUTPUT_INLINE_MAX, NULL, "bytes at most, 32768 unless given"},
      {"encoding", TYPE_TEXT, false, 0, 0, "text|base64",
       "text unless given: control characters are shown as \\xNN"}}},
    {"sandbox_process_input",
     "Write to a background process",
     "Writes text to stdin of a process of sandbox_start_process; a line needs its line feed. With close it "
     "then meets the "
     "end of its stdin.",
     TOOL_OPEN_WORLD,
     "{'type':'object','properties':{'process_id':{'type':'integer'},'bytes':{'type':'integer'},"
     "'closed':{'type':'boolean'}},'required':['process_id','bytes','closed']}",
     tool_process_input,
     {PROCESS_ARGS,
      {"text", TYPE_TEXT, true, 0, CODE_MAX, NULL, "what it reads"},
      {"close", TYPE_BOOL, false, 0, 0, NULL, "nothing more will come"}}},
    {"sandbox_process_kill",
     "End a background process",
     "Ends a process of sandbox_start_process with all that it started; or sends it another signal.",
     TOOL_DESTROYS | TOOL_IDEMPOTENT,
     "{'type':'object','properties':{'process_id':{'type':'integer'},'signal':{'type':'string'}},"
     "'required':['process_id','signal']}",
     tool_process_kill,
     {PROCESS_ARGS, {"signal", TYPE_TEXT, false, 0, 0, "KILL|TERM|INT|HUP|USR1|USR2", "KILL unless given"}}},
    {"sandbox_write_file",
     "Write a file in a sandbox",
     "Writes text to a file, whose folders are made where they lack.",
     TOOL_DESTROYS | TOOL_IDEMPOTENT,
     WRITTEN,
     tool_write_file,
     {ID_ARG,
      PATH_ARG("a relative one starts in the working directory"),
      {"content", TYPE_TEXT, true, 0, RPC_MESSAGE_MAX, NULL, "the whole of the file"}}},
    {"sandbox_list_files",
     "List a folder of a sandbox",
     "Lists what is in a folder of a sandbox, at most 1000 entries.",
     TOOL_READS | TOOL_IDEMPOTENT,
     FILES,
     tool_list_files,
     {ID_ARG, PATH_ARG("a folder")}},
    {"sandbox_renew",
     "Let a sandbox live longer",
     "Gives a sandbox a lifetime anew, counted from now.",
     TOOL_IDEMPOTENT,
     CREATED,
     tool_renew,
     {ID_ARG, {"timeout_seconds", TYPE_NUMBER, true, 1, MAX_LIFETIME, NULL, "its lifetime, from now"}}},
    {"sandbox_kill",
     "End a sandbox",
     "Ends a sandbox with all that is in it.",
     TOOL_DESTROYS | TOOL_IDEMPOTENT,
     KILLED,
     tool_kill,
     {ID_ARG}},
    {"workspace_review",
     "Look at changes to a workspace",
     "Shows what a run of run_code changed in the user's workspace: deletions first, then what could run "
     "outside, with "
     "the differences. The changes are not real yet.",
     TOOL_READS | TOOL_IDEMPOTENT,
     REVIEWED,
     tool_review,
     {CHANGE_ARGS,
      {"max_output_bytes", TYPE_NUMBER, false, 256, OUTPUT_INLINE_MAX, NULL, "32768 unless given"}}},
    {"workspace_apply",
     "Make changes to a workspace real",
     "Makes changes that a run left in the user's workspace real, all or none, where the user lets the agent "
     "do that and "
     "nothing about them raises an alarm; otherwise they wait for the user.",
     TOOL_DESTROYS,
     APPLIED,
     tool_apply,
     {CHANGE_ARGS}},
};
const size_t tool_count = sizeof tools / sizeof *tools;
