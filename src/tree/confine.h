/* confine: gives up everything but the directories at hand. */
#ifndef TREE_CONFINE_H
#define TREE_CONFINE_H

/* After OPEN was taken. 0, or -errno with *ret_what saying which wall could not be raised. */
int tree_confine(const char **ret_what);

#endif
