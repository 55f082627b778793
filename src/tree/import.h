/* import: what an apply did, for `git fast-import`, from its journal and the bytes that it kept. */
#ifndef TREE_IMPORT_H
#define TREE_IMPORT_H

/* Two commits onto refs/strongroom/old, to the session's text:
 *   refs/strongroom/before   the files concerned as they were: the same tree as `old`, when git knew all of them so
 *   refs/strongroom/new      as they are now
 * Folders are none of git's business; what lies in a .git neither. 0 or -errno. */
int import_stream(void);

#endif
