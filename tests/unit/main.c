#include <CUnit/Basic.h>

#define SUITE(name) void suite_##name(void);
#include "tests/unit/suites.def"
#undef SUITE

int main(void)
{
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
#define SUITE(name) suite_##name();
#include "tests/unit/suites.def"
#undef SUITE
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	unsigned failed = CU_get_number_of_failures();
	unsigned run = CU_get_number_of_tests_run();
	CU_cleanup_registry();
	return failed || !run;
}
