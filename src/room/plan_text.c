/* plan_text: the plan for people, numbered in the order in which it would be recited.
 *
 * Lives in: the supervisor (--dry-run). Trusts: the plan. Pure: a plan in, text out. */
#include "base/sbuf.h"
#include "room/plan.h"

void plan_text(const struct room_plan *plan, struct sbuf *out)
{
    static const char *const kinds[] = {[MOUNT_RO] = "ro",
                                        [MOUNT_RW] = "rw",
                                        [MOUNT_TMPFS] = "tmpfs",
                                        [MOUNT_COPY_IN] = "copy",
                                        [MOUNT_WORKSPACE] = "layer"};
    unsigned n = 0;
    for (int i = 0; i < STEP_COUNT; i++) {
        if (!plan_wants(plan, step_rows[i].layer) || (i == STEP_SERVED && !plan->gate_serves))
            continue;
        sbuf_fmt(out, "%2u  %-13s %s\n", ++n, step_rows[i].name, step_rows[i].what);
        if (i == STEP_SYSTEM) {
            for (size_t k = 0; k < plan->system_count; k++)
                sbuf_fmt(out, "      ro    %s -> /%s\n", plan->system[k].src, plan->system[k].dst);
            for (size_t k = 0; k < plan->cover_count; k++)
                sbuf_fmt(out, "      empty /%s\n", plan->covers[k].path);
        }
        if (i == STEP_BINDS || i == STEP_WRITABLE) {
            for (size_t k = 0; k < plan->mount_count; k++) {
                const struct plan_mount *m = &plan->mounts[k];
                if (m->late != (i == STEP_WRITABLE))
                    continue;
                sbuf_fmt(out, "      %-5s ", kinds[m->kind]);
                sbuf_escaped(out, m->src ? m->src : "(empty)");
                sbuf_text(out, " -> /");
                sbuf_escaped(out, m->dst);
                sbuf_char(out, '\n');
            }
        }
        if (i == STEP_MASKS || i == STEP_HIDE) {
            for (size_t k = 0; k < plan->mask_count; k++) {
                if (plan->masks[k].named == (i == STEP_HIDE))
                    sbuf_fmt(out, "      hide  /%s\n", plan->masks[k].path);
            }
        }
        if (i == STEP_PROGRAM) {
            sbuf_text(out, plan->argv ? "      exec " : "      none: what is started in the room later");
            for (size_t k = 0; plan->argv && plan->argv[k]; k++) {
                sbuf_char(out, ' ');
                sbuf_escaped(out, plan->argv[k]);
            }
            sbuf_char(out, '\n');
        }
    }
}
