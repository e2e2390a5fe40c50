/*
 * A library that claims to be a plugin: its manifest is as good as any, and what it exports as the header is not one.
 *
 * Built by the harness without a standard library, with HEADER set to what the symbol shall be, MANIFEST to the
 * text of the manifest, and SYMBOL to the name that engines look up.
 */

/* What HEADER may be. */
#define ABSENT 0  /* no such symbol */
#define GARBAGE 1 /* bytes that look like nothing */
#define ZEROS 2   /* nothing but zero bytes */
#define NEARLY 3  /* the right length and alignment, and a text that is nearly the one expected */
#define CODE 4    /* a function instead of data */
#define CROOKED 5 /* data at an odd address */
#define NOWHERE 6 /* a symbol that stands for the address 0 */

struct note {
    unsigned name_len, description_len, type;
    char name[16];
    char description[sizeof(MANIFEST) - 1];
};

__attribute__((section(".note.plugin_engine"), used, aligned(4)))
static const struct note note = {16, sizeof(MANIFEST) - 1, 1, "plugin-manifest", MANIFEST};

#if HEADER == GARBAGE
__attribute__((aligned(16))) const unsigned char header[256] __asm__(SYMBOL) = {
    0xde, 0xad, 0xbe, 0xef, 0xff, 0xff, 0xff, 0xff, 0x80, 0x01, 0x7f, 0xfe,
};
#elif HEADER == ZEROS
__attribute__((aligned(16))) unsigned char header[256] __asm__(SYMBOL);
#elif HEADER == NEARLY
__attribute__((aligned(16))) const char header[256] __asm__(SYMBOL) = "abi stable library for Rusty    \0\0\0\0\13\0\0\0";
#elif HEADER == CODE
int header(void) __asm__(SYMBOL);
int header(void) { return 0; }
#elif HEADER == CROOKED
__attribute__((aligned(16))) const unsigned char bytes[257] = {0};
__asm__(".globl " SYMBOL "\n.set " SYMBOL ", bytes + 1\n.type " SYMBOL ", @object");
#elif HEADER == NOWHERE
__asm__(".globl " SYMBOL "\n.set " SYMBOL ", 0\n.type " SYMBOL ", @object");
#endif
