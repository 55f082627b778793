/* accept: words that say which alarms somebody has looked at: "ALARM" or "ALARM:PATH". Pure. */
#ifndef POLICY_ACCEPT_H
#define POLICY_ACCEPT_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

/* Does the word name an alarm of the table (alarm_table.h), and a path within a tree where it has one? If not, says
 * why into *ret_why and names the nearest alarm, or NULL. */
bool accept_is_good(const char *word, const char **ret_why, const char **ret_nearest);

/* Does the word speak of this alarm? Then its path ("" for all) in *ret_path. */
bool accept_names(const char *word, const char *alarm, const char **ret_path);

#endif
