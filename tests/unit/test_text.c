#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/text.h"

static void check(const void *name, size_t length, const char *want)
{
	struct buffer text = {0}, back = {0};

	CU_ASSERT_EQUAL(text_escape(&text, name, length), 0);
	CU_ASSERT_EQUAL_FATAL(text.length, strlen(want));
	CU_ASSERT_EQUAL(memcmp(text.data, want, text.length), 0);
	CU_ASSERT_EQUAL(text_unescape(&back, (char *)text.data, text.length),
			0);
	CU_ASSERT_EQUAL_FATAL(back.length, length);
	CU_ASSERT_EQUAL(memcmp(back.data, name, length), 0);
	buffer_release(&text);
	buffer_release(&back);
}

static void escapes(void)
{
	check("plain name", 10, "plain name");
	check("a\nb", 3, "a\\0012b");
	check("\\", 1, "\\0134");
	check("\x7f\x01", 2, "\\0177\\0001");
	check("a\0b", 3, "a\\0000b");
	check("\xff\xfe\xc3\xa4", 4, "\xff\xfe\xc3\xa4");
	check("\\0012", 5, "\\01340012");
}

static void every_byte(void)
{
	uint8_t all[256];
	struct buffer text = {0}, back = {0};

	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	CU_ASSERT_EQUAL(text_escape(&text, all, sizeof(all)), 0);
	CU_ASSERT_PTR_NULL(memchr(text.data, '\n', text.length));
	CU_ASSERT_EQUAL(text_unescape(&back, (char *)text.data, text.length),
			0);
	CU_ASSERT_EQUAL_FATAL(back.length, sizeof(all));
	CU_ASSERT_EQUAL(memcmp(back.data, all, sizeof(all)), 0);
	buffer_release(&text);
	buffer_release(&back);
}

static void malformed(void)
{
	static const char *const bad[] = {
		"\\",	   "\\0",    "\\01",	"\\012",  "\\0400", "\\0777",
		"\\1012x", "\\n   ", "ab\\001", "\\x0a ", "\\0 12",
	};
	struct buffer out = {0};

	CU_ASSERT_EQUAL(buffer_append(&out, "kept", 4), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(text_unescape(&out, bad[i], strlen(bad[i])),
				REEL_EDAMAGED);
		CU_ASSERT_EQUAL(out.length, 4);
	}
	buffer_release(&out);
}

static void names(void)
{
	char *name = text_name("a\tb", 3);

	CU_ASSERT_PTR_NOT_NULL_FATAL(name);
	CU_ASSERT_STRING_EQUAL(name, "a\\0011b");
	free(name);
	name = text_name(NULL, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(name);
	CU_ASSERT_STRING_EQUAL(name, "");
	free(name);
}

static void buffers(void)
{
	struct buffer b = {0};

	CU_ASSERT_EQUAL(buffer_reserve(&b, SIZE_MAX), REEL_ENOMEM);
	CU_ASSERT_EQUAL(buffer_append(&b, NULL, 0), 0);
	CU_ASSERT_EQUAL(buffer_printf(&b, "%d-%s", 12, "x"), 0);
	CU_ASSERT_EQUAL(buffer_append_zeros(&b, 3), 0);
	CU_ASSERT_EQUAL(b.length, 7);
	CU_ASSERT_EQUAL(memcmp(b.data, "12-x\0\0\0", 7), 0);
	CU_ASSERT_EQUAL(buffer_reserve(&b, SIZE_MAX - 3), REEL_ENOMEM);
	CU_ASSERT_EQUAL(b.length, 7);
	buffer_release(&b);
	CU_ASSERT_PTR_NULL(b.data);
}

void suite_text(void);
void suite_text(void)
{
	CU_pSuite s = CU_add_suite("text", NULL, NULL);

	CU_add_test(s, "escapes", escapes);
	CU_add_test(s, "every byte", every_byte);
	CU_add_test(s, "malformed", malformed);
	CU_add_test(s, "names", names);
	CU_add_test(s, "buffers", buffers);
}
