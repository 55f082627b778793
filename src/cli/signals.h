/* signals: their names, as people write them. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

/* Of "TERM", "SIGTERM" or "15"; 0: none. */
int signal_number(const char *text);

#endif
