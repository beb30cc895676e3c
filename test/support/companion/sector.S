# The whole of a machine of the chaos test: a boot sector that finds its virtio-net card (VIRTIO 1.2 section 4.1.4.8, the legacy
# interface) and at each tick of the clock, 18 times a second, sends the two frames that lie behind the code. It sleeps otherwise.

        .code16
        .globl _start
        .set FRAMES, 0x7d00             # two, of the length that stands in front of the first; each has the header of 10 octets
        .set RING, 0x10000              # descriptors, 0x11000 what is offered, 0x12000 what is used, of a queue of 256
_start: cli
        xorw %ax, %ax
        movw %ax, %ds
        movw %ax, %ss
        movw $0x7c00, %sp
        movw $RING >> 4, %ax
        movw %ax, %es
        cld
        xorw %di, %di
        xorl %eax, %eax
        movw $0x3000 / 4, %cx
        rep stosl
# The card: configuration space of bus 0.
        movl $0x80000000, %ebx
find:   movl %ebx, %eax
        call read
        cmpl $0x10001af4, %eax
        je found
        addl $0x800, %ebx
        jmp find
found:  leal 4(%ebx), %eax
        call read
        orb $5, %al                     # its ports, and its own reach into memory
        outl %eax, %dx
        leal 0x10(%ebx), %eax
        call read
        andb $0xfc, %al
        movw %ax, %bp
# A driver that wants no feature, and the queue of what is sent.
        leaw 0x12(%bp), %dx
        movb $3, %al
        outb %al, %dx
        leaw 4(%bp), %dx
        xorl %eax, %eax
        outl %eax, %dx
        leaw 0xe(%bp), %dx
        movw $1, %ax
        outw %ax, %dx
        leaw 8(%bp), %dx
        movl $RING >> 12, %eax
        outl %eax, %dx
        leaw 0x12(%bp), %dx
        movb $7, %al
        outb %al, %dx
# Two descriptors, offered in turn.
        movzwl FRAMES, %ecx
        movl $FRAMES + 2, %es:0
        movl %ecx, %es:8
        addl $FRAMES + 2, %ecx
        movl %ecx, %es:16
        subl $FRAMES + 2, %ecx
        movl %ecx, %es:24
        movw $0x1004, %di
        movw $128, %cx
        movl $0x00010000, %eax
        rep stosl
        sti
again:  hlt
        addw $2, %es:0x1002
        leaw 0x10(%bp), %dx
        movw $1, %ax
        outw %ax, %dx
        jmp again
# What stands in configuration space at %eax; leaves the port of data in %dx.
read:   movw $0xcf8, %dx
        outl %eax, %dx
        movw $0xcfc, %dx
        inl %dx, %eax
        ret
