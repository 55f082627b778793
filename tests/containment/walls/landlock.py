# landlock: the second wall around files. What it alone holds is tried by pid 1 before the program (see the receipt).
@probe('no folder can be made beside the devices', bare=HOST['root'] or 'a user may not write there')
def beside():
    os.mkdir('/dev/' + TOKEN)
    os.rmdir('/dev/' + TOKEN)
    return 'made'


@probe('no device node in shared memory', bare='a user namespace forbids it too')
def node():
    os.mknod('/dev/shm/' + TOKEN, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    return 'made'
