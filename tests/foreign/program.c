/* A program that does nothing: what it is linked as is what matters. */
int main(void) { return 0; }
