/* options_text: help, manual and completion, made from the option tables.
 *
 * Lives in: strongroom. Trusts: the tables. May: write text. Must not: know a single option by name. */
#include "cli/options.h"
#include "policy/alarm_table.h"
#include "policy/fields.h"
#include <string.h>

enum { HELP_COLUMN = 30, WIDTH = 80 };

/* The groups in the order in which they first appear; false: no more. */
static bool next_group(const char **group)
{
    struct option_view v;
    bool passed = *group == NULL;

    for (size_t i = 0; options_view(i, &v); i++) {
        if (passed && (!*group || strcmp(v.group, *group) != 0)) {
            *group = v.group;
            return true;
        }
        if (*group && strcmp(v.group, *group) == 0)
            passed = true;
    }
    return false;
}

static void help_row(const struct option_view *v, struct sbuf *out)
{
    char left[WIDTH];
    struct sbuf b = SBUF(left);

    if (v->letter)
        sbuf_fmt(&b, "  -%c, --%s", v->letter, v->name);
    else
        sbuf_fmt(&b, "      --%s", v->name);
    if (v->arg)
        sbuf_fmt(&b, " %s", v->arg);
    if (b.len + 2 > HELP_COLUMN)
        sbuf_fmt(out, "%s\n%*s%s\n", left, HELP_COLUMN, "", v->help);
    else
        sbuf_fmt(out, "%-*s%s\n", HELP_COLUMN, left, v->help);
}

void options_help(struct sbuf *out)
{
    const char *first = fields[0].group;
    struct option_view v;

    for (const char *group = NULL; next_group(&group);) {
        sbuf_fmt(out, "%s%s:\n", group != first ? "\n" : "", group);
        for (size_t i = 0; options_view(i, &v); i++)
            if (strcmp(v.group, group) == 0)
                help_row(&v, out);
    }
}

/* man(7) reads "-" as a hyphen that may be typeset differently, "\-" as the character to type; a line must not start
 * with a dot or quote, which none of our words does. */
static void man_text(struct sbuf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '-' || *s == '\\')
            sbuf_char(out, '\\');
        sbuf_char(out, *s);
    }
}

static void man_row(const struct option_view *v, struct sbuf *out)
{
    sbuf_text(out, ".TP\n");
    if (v->letter)
        sbuf_fmt(out, "\\fB\\-%c\\fR, ", v->letter);
    if (v->letter2)
        sbuf_fmt(out, "\\fB\\-%c\\fR, ", v->letter2);
    sbuf_text(out, "\\fB\\-\\-");
    man_text(out, v->name);
    sbuf_text(out, "\\fR");
    if (v->alias) {
        sbuf_text(out, ", \\fB\\-\\-");
        man_text(out, v->alias);
        sbuf_text(out, "\\fR");
    }
    if (v->arg) {
        sbuf_text(out, " \\fI");
        man_text(out, v->arg);
        sbuf_text(out, "\\fR");
    }
    sbuf_char(out, '\n');
    man_text(out, v->help);
    sbuf_text(out, v->repeat ? ". May be given several times.\n" : ".\n");
}

void options_man(struct sbuf *out)
{
    struct option_view v;

    sbuf_text(out, ".SH OPTIONS\n");
    for (const char *group = NULL; next_group(&group);) {
        sbuf_fmt(out, ".SS %s\n", group);
        for (size_t i = 0; options_view(i, &v); i++)
            if (strcmp(v.group, group) == 0)
                man_row(&v, out);
    }
}

/* "none|host" is the words themselves; what is in capitals only stands for something. */
static bool lists_words(const struct option_view *v)
{
    return v->arg[0] >= 'a' && v->arg[0] <= 'z';
}

static void completion_words(struct sbuf *out, const char *words)
{
    sbuf_char(out, '\'');
    for (; *words; words++)
        sbuf_char(out, *words == '|' ? ' ' : *words);
    sbuf_char(out, '\'');
}

/* What the shell offers for a value, by the name that help gives it. */
static const char *completion_for(const struct option_view *v)
{
    if (!v->arg)
        return NULL;
    if (strcmp(v->name, "from") == 0)
        return "compgen -W \"$(strongroom save --list 2>/dev/null)\"";
    if (strcmp(v->name, "accept") == 0)
        return "compgen -W \"$alarms\"";
    if (strstr(v->arg, "FILE"))
        return "compgen -f";
    if (strstr(v->arg, "DIR"))
        return "compgen -d";
    if (strstr(v->arg, "PATH") || strstr(v->arg, "SRC"))
        return "compgen -f";
    if (lists_words(v))
        return "compgen -W ";
    if (strcmp(v->arg, "NAME[,...]") == 0)
        return "compgen -W \"$walls\"";
    return "true";
}

#define ALARM_WORD(id, name, why) name " "

static void completion_names(struct sbuf *out)
{
    sbuf_text(out, "    local walls='all");
    for (size_t i = 0; i < LAYER_ID_COUNT; i++)
        sbuf_fmt(out, " %s", layer_rows[i].name);
    for (size_t i = 0; i < LIMIT_ID_COUNT; i++)
        sbuf_fmt(out, " %s", limit_rows[i].name);
    sbuf_text(out, "'\n    local alarms='" ALARM_TABLE(ALARM_WORD));
    sbuf_text(out, "'\n    local options='");
    struct option_view v;
    for (size_t i = 0; options_view(i, &v); i++)
        sbuf_fmt(out, "%s--%s", i ? " " : "", v.name);
    sbuf_text(out, "'\n");
}

static void completion_values(struct sbuf *out)
{
    struct option_view v;

    sbuf_text(out, "    case $last in\n");
    for (size_t i = 0; options_view(i, &v); i++) {
        const char *how = completion_for(&v);
        if (!how)
            continue;
        sbuf_fmt(out, "    --%s", v.name);
        if (v.alias)
            sbuf_fmt(out, " | --%s", v.alias);
        if (v.letter)
            sbuf_fmt(out, " | -%c", v.letter);
        if (v.letter2)
            sbuf_fmt(out, " | -%c", v.letter2);
        sbuf_fmt(out, ") mapfile -t COMPREPLY < <(%s", how);
        if (lists_words(&v))
            completion_words(out, v.arg);
        sbuf_fmt(out, "%s); return ;;\n", strncmp(how, "compgen", 7) == 0 ? " -- \"$word\"" : "");
    }
    sbuf_text(out, "    esac\n");
}

/* What the other verbs take. Only words that strongroom made itself (IDs, names that it checked) may become a list of
 * compgen's, for the shell expands each: never a file's name that a room chose. */
static const char completion_verbs[] =
    "    local words= verb=${COMP_WORDS[1]} at\n"
    "    case $verb in\n"
    "    run | learn | policy) ;;\n"
    "    *)\n"
    "        for ((at = 2; at < COMP_CWORD; at++)); do\n"
    "            [ \"${COMP_WORDS[at]}\" = -- ] && { mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); "
    "return; }\n"
    "        done\n"
    "        case $verb:$last in\n"
    "        apply:--accept) words=$alarms ;;\n"
    "        apply:--except) ;;\n"
    "        apply:--commit | apply:--author | prune:--older) return ;;\n"
    "        save:--delete) words=$(strongroom save --list 2>/dev/null) ;;\n"
    "        *)\n"
    "        if [[ $word = -* ]]; then\n"
    "            words=$(strongroom \"$verb\" --help 2>/dev/null | grep -E '^(Usage|[^A-Za-z])' |\n"
    "                grep -o -- '--[a-z][a-z-]*' | sort -u)\n"
    "        else case $verb:$last in\n"
    "        review:* | apply:* | undo:* | discard:*)\n"
    "            [[ $last = \"$verb\" || $last = -* ]] && words=$(strongroom ls --name-only 2>/dev/null) ;;\n"
    "        save:save | save:-* | ls:* | prune:*) return ;;\n"
    "        save:*) words=$(strongroom ls --name-only 2>/dev/null) ;;\n"
    "        exec:exec | logs:logs | attach:attach | stats:stats | pause:pause | resume:resume | renew:renew "
    "| \\\n"
    "            kill:kill | rm:rm | allow:allow | deny:deny | withdraw:withdraw | rules:rules)\n"
    "            words=$(strongroom ps -q 2>/dev/null) ;;\n"
    "        esac; fi ;;\n"
    "        esac\n"
    "        if [ -n \"$words\" ]; then\n"
    "            mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
    "        else\n"
    "            mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
    "        fi\n"
    "        return ;;\n"
    "    esac\n";

void options_completion_bash(const char *const *verbs, size_t verb_count, struct sbuf *out)
{
    sbuf_text(out, "# bash completion for strongroom; made from its option tables\n"
                   "_strongroom() {\n"
                   "    local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]}\n");
    completion_names(out);
    sbuf_text(out, "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
                   "        mapfile -t COMPREPLY < <(compgen -W '");
    for (size_t i = 0; i < verb_count; i++)
        sbuf_fmt(out, "%s%s", i ? " " : "", verbs[i]);
    sbuf_text(out, "' -- \"$word\")\n"
                   "        return\n"
                   "    fi\n");
    sbuf_text(out, completion_verbs);
    completion_values(out);
    sbuf_text(out, "    case $word in\n"
                   "    -*) mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\") ;;\n"
                   "    *) mapfile -t COMPREPLY < <(compgen -c -f -- \"$word\") ;;\n"
                   "    esac\n"
                   "}\n"
                   "complete -F _strongroom strongroom\n");
}
