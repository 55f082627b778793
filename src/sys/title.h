/* title: what /proc/PID/cmdline shows of this process. */
#ifndef SYS_TITLE_H
#define SYS_TITLE_H

/* To be called first thing in main() with its own arguments, which stay where they are. */
void title_remember(int argc, char **argv);

/* From now on only `title` is shown: none of the words that the process was started with. The last of them is spoilt:
 * whoever needs it has copied it. Those from `keep` on, when it is one of them, are not spoilt otherwise: of `title` as
 * much is shown as fits in front of it. Does nothing in a process that remembered no arguments. */
void title_set(const char *title, const char *keep);

#endif
