/* handoff: see handoff.h. The table of paths.
 *
 * Lives in: strongroom-tree, tests and fuzzers. Trusts: nothing of the path. Pure.
 *
 * A pattern is a list of names; a `*` stands for any part of one name. It fits the end of a path at any depth; one
 * that ends in a slash fits whatever lies below. */
#include "tree/handoff.h"

#include <string.h>

/* Where in a long path a pattern may begin: whoever obeys these files looks near the top, or near the file. */
#define FIRST_NAMES 32
#define LAST_NAMES  8

static const struct {
    const char *pattern;
    enum alarm alarm;
} table[] = {
    {".git/hooks/", ALARM_GIT_HOOK},
    {".githooks/", ALARM_GIT_HOOK},
    {".git/config", ALARM_GIT_CONFIG},
    {".git/config.worktree", ALARM_GIT_CONFIG},
    {".git", ALARM_GIT_CONFIG}, /* a file or link in the place of the folder: another repository */
    {".git/commondir", ALARM_GIT_CONFIG},
    {".gitconfig", ALARM_GIT_CONFIG},
    {".config/git/", ALARM_GIT_CONFIG},
    {".gitmodules", ALARM_GIT_CONFIG},
    {".husky/", ALARM_HOOK_MANAGER},
    {".pre-commit-config.yaml", ALARM_HOOK_MANAGER},
    {"lefthook.y*ml", ALARM_HOOK_MANAGER},
    {".lefthook.y*ml", ALARM_HOOK_MANAGER},
    {".lintstagedrc*", ALARM_HOOK_MANAGER},
    {".envrc", ALARM_SHELL_ENTRY},
    {".mise.toml", ALARM_SHELL_ENTRY},
    {"mise.toml", ALARM_SHELL_ENTRY},
    {".autoenv", ALARM_SHELL_ENTRY},
    {".bashrc", ALARM_SHELL_START},
    {".bash_profile", ALARM_SHELL_START},
    {".bash_login", ALARM_SHELL_START},
    {".bash_logout", ALARM_SHELL_START},
    {".bash_aliases", ALARM_SHELL_START},
    {".profile", ALARM_SHELL_START},
    {".zshrc", ALARM_SHELL_START},
    {".zshenv", ALARM_SHELL_START},
    {".zprofile", ALARM_SHELL_START},
    {".zlogin", ALARM_SHELL_START},
    {".zlogout", ALARM_SHELL_START},
    {".kshrc", ALARM_SHELL_START},
    {".cshrc", ALARM_SHELL_START},
    {".tcshrc", ALARM_SHELL_START},
    {".inputrc", ALARM_SHELL_START},
    {".xprofile", ALARM_SHELL_START},
    {".xinitrc", ALARM_SHELL_START},
    {".xsession", ALARM_SHELL_START},
    {".pam_environment", ALARM_SHELL_START},
    {".config/fish/", ALARM_SHELL_START},
    {".config/environment.d/", ALARM_SHELL_START},
    {".vscode/", ALARM_EDITOR},
    {"*.code-workspace", ALARM_EDITOR},
    {".idea/", ALARM_EDITOR},
    {".zed/", ALARM_EDITOR},
    {".devcontainer/", ALARM_EDITOR},
    {".devcontainer.json", ALARM_EDITOR},
    {".vimrc", ALARM_EDITOR},
    {".nvimrc", ALARM_EDITOR},
    {".nvim.lua", ALARM_EDITOR},
    {".exrc", ALARM_EDITOR},
    {".dir-locals.el", ALARM_EDITOR},
    {".config/nvim/", ALARM_EDITOR},
    {".emacs", ALARM_EDITOR},
    {".emacs.d/", ALARM_EDITOR},
    {".claude/", ALARM_AGENT},
    {"CLAUDE.md", ALARM_AGENT},
    {"AGENTS.md", ALARM_AGENT},
    {"GEMINI.md", ALARM_AGENT},
    {".mcp.json", ALARM_AGENT},
    {".cursor/", ALARM_AGENT},
    {".cursorrules", ALARM_AGENT},
    {".windsurfrules", ALARM_AGENT},
    {".codex/", ALARM_AGENT},
    {".gemini/", ALARM_AGENT},
    {".aider.conf.yml", ALARM_AGENT},
    {".github/copilot-instructions.md", ALARM_AGENT},
    {".strongroom.yaml", ALARM_AGENT},
    {"package.json", ALARM_PACKAGE_SCRIPT},
    {"binding.gyp", ALARM_PACKAGE_SCRIPT},
    {"composer.json", ALARM_PACKAGE_SCRIPT},
    {".npmrc", ALARM_PACKAGE_CONFIG},
    {".yarnrc", ALARM_PACKAGE_CONFIG},
    {".yarnrc.yml", ALARM_PACKAGE_CONFIG},
    {".yarn/releases/", ALARM_PACKAGE_CONFIG},
    {".yarn/plugins/", ALARM_PACKAGE_CONFIG},
    {".pnpmfile.cjs", ALARM_PACKAGE_CONFIG},
    {"bunfig.toml", ALARM_PACKAGE_CONFIG},
    {"pip.conf", ALARM_PACKAGE_CONFIG},
    {"pip.ini", ALARM_PACKAGE_CONFIG},
    {"uv.toml", ALARM_PACKAGE_CONFIG},
    {".pypirc", ALARM_PACKAGE_CONFIG},
    {".gemrc", ALARM_PACKAGE_CONFIG},
    {".cargo/config", ALARM_PACKAGE_CONFIG},
    {".cargo/config.toml", ALARM_PACKAGE_CONFIG},
    {".bundle/config", ALARM_PACKAGE_CONFIG},
    {".m2/settings.xml", ALARM_PACKAGE_CONFIG},
    {"Makefile", ALARM_BUILD},
    {"GNUmakefile", ALARM_BUILD},
    {"*.mk", ALARM_BUILD},
    {"CMakeLists.txt", ALARM_BUILD},
    {"*.cmake", ALARM_BUILD},
    {"meson.build", ALARM_BUILD},
    {"configure", ALARM_BUILD},
    {"build.rs", ALARM_BUILD},
    {"*.gradle", ALARM_BUILD},
    {"*.gradle.kts", ALARM_BUILD},
    {"gradlew", ALARM_BUILD},
    {"gradle/wrapper/", ALARM_BUILD},
    {"mvnw", ALARM_BUILD},
    {".mvn/", ALARM_BUILD},
    {"pom.xml", ALARM_BUILD},
    {"Rakefile", ALARM_BUILD},
    {"Justfile", ALARM_BUILD},
    {"Taskfile.y*ml", ALARM_BUILD},
    {"setup.py", ALARM_BUILD},
    {"conftest.py", ALARM_BUILD},
    {"noxfile.py", ALARM_BUILD},
    {"tox.ini", ALARM_BUILD},
    {"Dockerfile*", ALARM_BUILD},
    {"docker-compose*.y*ml", ALARM_BUILD},
    {"compose.y*ml", ALARM_BUILD},
    {"Vagrantfile", ALARM_BUILD},
    {"Procfile", ALARM_BUILD},
    {"BUILD.bazel", ALARM_BUILD},
    {".bazelrc", ALARM_BUILD},
    {"gulpfile.*", ALARM_BUILD},
    {"Gruntfile.*", ALARM_BUILD},
    {".github/workflows/", ALARM_CI},
    {".github/actions/", ALARM_CI},
    {".gitlab-ci.yml", ALARM_CI},
    {".gitlab/ci/", ALARM_CI},
    {".circleci/", ALARM_CI},
    {"Jenkinsfile*", ALARM_CI},
    {".travis.yml", ALARM_CI},
    {"azure-pipelines*.yml", ALARM_CI},
    {".drone.yml", ALARM_CI},
    {".woodpecker*", ALARM_CI},
    {"bitbucket-pipelines.yml", ALARM_CI},
    {".buildkite/", ALARM_CI},
    {"appveyor.yml", ALARM_CI},
    {".forgejo/workflows/", ALARM_CI},
    {".gitea/workflows/", ALARM_CI},
    {"*.pth", ALARM_PYTHON_START},
    {"sitecustomize.py", ALARM_PYTHON_START},
    {"usercustomize.py", ALARM_PYTHON_START},
    {"pyvenv.cfg", ALARM_PYTHON_START},
    {".pythonrc*", ALARM_PYTHON_START},
    {".ssh/", ALARM_SSH},
    {"authorized_keys*", ALARM_SSH},
    {"crontab", ALARM_SCHEDULE},
    {"cron.*/", ALARM_SCHEDULE},
    {"spool/cron/", ALARM_SCHEDULE},
    {".config/systemd/", ALARM_SCHEDULE},
    {"systemd/user/", ALARM_SCHEDULE},
    {"systemd/system/", ALARM_SCHEDULE},
    {".config/autostart/", ALARM_SCHEDULE},
    {"LaunchAgents/", ALARM_SCHEDULE},
    {".netrc", ALARM_TOOL_CONFIG},
    {".gdbinit", ALARM_TOOL_CONFIG},
    {".lldbinit", ALARM_TOOL_CONFIG},
    {".gnupg/", ALARM_TOOL_CONFIG},
    {".aws/", ALARM_TOOL_CONFIG},
    {".kube/", ALARM_TOOL_CONFIG},
    {".docker/", ALARM_TOOL_CONFIG},
    {".Rprofile", ALARM_TOOL_CONFIG},
    {".irbrc", ALARM_TOOL_CONFIG},
    {".psqlrc", ALARM_TOOL_CONFIG},
    {".curlrc", ALARM_TOOL_CONFIG},
    {".wgetrc", ALARM_TOOL_CONFIG},
    {".tmux.conf", ALARM_TOOL_CONFIG},
    {".screenrc", ALARM_TOOL_CONFIG},
    {"config", ALARM_GIT_CONFIG}, /* a folder with this, HEAD, objects and refs is a repository, too */
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* One name against one name of a pattern. The last star gives way as far as is needed; no more is, with stars only.
 * */
static bool name_fits(const char *p, size_t p_len, const char *s, size_t s_len)
{
    size_t i = 0, k = 0, star = p_len, from = 0;

    while (k < s_len) {
        if (i < p_len && p[i] == '*') {
            star = i++;
            from = k;
        } else if (i < p_len && lower(p[i]) == lower(s[k])) {
            i++;
            k++;
        } else if (star < p_len) {
            i = star + 1;
            k = ++from;
        } else {
            return false;
        }
    }
    while (i < p_len && p[i] == '*')
        i++;
    return i == p_len;
}

static size_t name_len(const char *s)
{
    const char *slash = strchr(s, '/');

    return slash ? (size_t)(slash - s) : strlen(s);
}

/* The whole pattern, from this place in the path on. */
static bool fits_here(const char *pattern, const char *path)
{
    for (;;) {
        const size_t p = name_len(pattern), s = name_len(path);
        if (!name_fits(pattern, p, path, s))
            return false;
        pattern += p;
        path += s;
        if (*pattern == '\0')
            return *path == '\0';
        if (*path == '\0')
            return false;
        pattern++;
        path++;
        if (*pattern == '\0')
            return true; /* it ended in a slash, and something lies below */
    }
}

/* What a package manager unpacked: only what runs by itself is of interest there. */
static bool unpacked(const char *path)
{
    return strncmp(path, "node_modules/", 13) == 0 || strstr(path, "/node_modules/") ||
           strncmp(path, "vendor/", 7) == 0 || strstr(path, "/vendor/");
}

/* The row whose pattern fits from here on. */
static enum alarm look_up(const char *at)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char first = table[i].pattern[0];
        if ((first == '*' || lower(first) == lower(*at)) && fits_here(table[i].pattern, at))
            return table[i].alarm;
    }
    return ALARM_NONE;
}

unsigned handoff_path(const char *path)
{
    /* A submodule's repository has the same dangerous parts, at any depth in .git/modules. */
    const char *modules = strstr(path, ".git/modules/");
    if (modules && (strstr(modules, "/hooks/") || strcmp(path + strlen(path) - 7, "/config") == 0))
        return strstr(modules, "/hooks/") ? ALARM_GIT_HOOK : ALARM_GIT_CONFIG;
    size_t left = 1, n = 0;
    for (const char *at = path; (at = strchr(at, '/')); at++)
        left++;
    for (const char *at = path; at; at = strchr(at, '/'), at = at ? at + 1 : NULL, n++, left--) {
        const enum alarm a = n < FIRST_NAMES || left <= LAST_NAMES ? look_up(at) : ALARM_NONE;
        const bool waits = a == ALARM_PACKAGE_SCRIPT || a == ALARM_BUILD || a == ALARM_CI ||
                           a == ALARM_EDITOR || a == ALARM_HOOK_MANAGER || a == ALARM_PACKAGE_CONFIG ||
                           a == ALARM_AGENT;
        if (a != ALARM_NONE)
            return waits && unpacked(path) ? ALARM_NONE : a;
    }
    return ALARM_NONE;
}

bool handoff_leaves(const char *path, const char *target)
{
    long depth = 0;

    if (target[0] == '/')
        return true;
    for (const char *at = strchr(path, '/'); at; at = strchr(at + 1, '/'))
        depth++;
    while (*target) {
        const size_t n = name_len(target);
        if (n == 2 && target[0] == '.' && target[1] == '.') {
            if (--depth < 0)
                return true;
        } else if (n && !(n == 1 && target[0] == '.')) {
            depth++;
        }
        target += n + (target[n] == '/');
    }
    return false;
}
