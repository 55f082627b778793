# Runs cells of bash that come in on descriptor 0 (cells.h says how they look). An interactive shell, so that an interrupt
# goes back to the top level and keeps all state; it reads our words as its commands, and cells are sourced, with their
# stdin empty. Lives in: a room, as one of its programs, with no right that others lack.
exec 2>&4 4>&- 5<&-
PS1= PS2= PS4='+ '
set +H +o history
unset HISTFILE MAILCHECK
__read() {
    local LC_ALL=C IFS=
    __code=
    [ "$1" = 00000000 ] || read -r -N "$((16#$1))" __code
}
__c() {
    __cell=$1
    printf 'G %s 00000000\n' "$1" >&0
    __read "$2"
    . /dev/fd/9 </dev/null 9<<<"$__code"
}
__i() { :; } # the signal that comes with it is all
__done() {
    set -- $?
    [ -z "${__cell-}" ] || printf 'D %s 00000004\n%03d\n' "$__cell" "$1" >&0
    __cell=
}
PROMPT_COMMAND=__done
