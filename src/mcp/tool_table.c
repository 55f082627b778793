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

#define RUN_OUTPUT                                                                                           \
    "{'type':'object','properties':{"                                                                        \
    "'stdout':{'type':'string','description':'control characters are shown as \\\\xNN'},"                    \
    "'stderr':{'type':'string'},"                                                                            \
    "'exit_code':{'type':'integer','description':'of the program; 124 time limit, 137 memory, 128+n signal " \
    "n'},"                                                                                                   \
    "'outcome':{'type':'string','description':'exited, signalled, timeout, cpu-time, memory, output, "       \
    "interrupted, "                                                                                          \
    "not-run or lost'},"                                                                                     \
    "'timed_out':{'type':'boolean'},"                                                                        \
    "'truncated':{'type':'boolean','description':'the middle of stdout or stderr was left out here'},"       \
    "'stdout_bytes':{'type':'integer','description':'printed in all'},"                                      \
    "'stderr_bytes':{'type':'integer'},"                                                                     \
    "'duration_ms':{'type':'integer'},"                                                                      \
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

#define LIMIT_ARGS                                                                                           \
    {"timeout_seconds", TYPE_NUMBER, false, 1, MAX_TIMEOUT, NULL, "wall time until the run is ended"},       \
        {"memory_mb", TYPE_NUMBER, false, 8, MAX_MEMORY, NULL, "memory of the whole room"},                  \
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
     "Run code in a fresh sandbox",
     "Runs code in a new sandbox that is made for this call and gone after it: nothing is kept between "
     "calls. The working "
     "directory is empty and writable. Prints of the program come back in stdout and stderr. A non-zero "
     "exit_code is "
     "no error of the tool. Network and files outside are closed, except for what the person who started "
     "this server "
     "allowed; denials tell what was refused.",
     TOOL_OPEN_WORLD,
     RUN_OUTPUT,
     tool_run_code,
     {{"code", TYPE_TEXT, true, 0, CODE_MAX, NULL, "the program's text"},
      {"language", TYPE_TEXT, false, 0, 0, "python|javascript|typescript|bash", "python unless given"},
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
     {{"sandbox_id", TYPE_TEXT, true, 1, 64, NULL, "a run_id"},
      {"path", TYPE_TEXT, true, 1, 4000, NULL, "stdout or stderr"},
      {"offset", TYPE_NUMBER, false, 0, INT64_MAX / 2, NULL, "first byte, 0 unless given"},
      {"limit", TYPE_NUMBER, false, 16, OUTPUT_INLINE_MAX, NULL, "bytes at most, 32768 unless given"},
      {"encoding", TYPE_TEXT, false, 0, 0, "text|base64",
       "text unless given: control characters are shown as \\xNN"}}},
};
const size_t tool_count = sizeof tools / sizeof *tools;
