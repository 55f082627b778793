/* tool_values: the values that came of code, as a tool's result tells them, and as a program of Python hands them out.
 *
 * Lives in: strongroom-mcp. Trusts: no byte of a reply: the program in the room wrote it, whoever that was.
 * Must not: hand out a control character as text, what is no picture as one, or more than an answer can hold. */
#include "mcp/text.h"
#include "mcp/tool_fns.h"
#include "runtimes/cells.h"

#include <stdio.h>
#include <string.h>

#define PICTURES_MAX   8         /* in one answer */
#define PICTURES_BYTES (4 << 20) /* of their base64, all together */
#define VALUES_MAX     64        /* in one answer */
#define OTHER_TEXT_MAX (8 << 10) /* of a value's text in another form than text/plain */
#define REPLY_VALUES   1024      /* nobody reads so many */

void values_begin(struct values *ret, const json_t *args)
{
    *ret = (struct values){.values = json_array(),
                           .content = json_array(),
                           .text_left = tool_number(args, "max_output_bytes", OUTPUT_INLINE)};
}

static void add_text(struct values *a, json_t *one, const json_t *text, bool plain)
{
    const size_t n = json_string_length(text);
    int64_t most = plain || a->text_left < OTHER_TEXT_MAX ? a->text_left : OTHER_TEXT_MAX;
    json_t *clean = text_json(json_string_value(text), n, (size_t)most);
    const size_t len = json_string_length(clean);

    a->text_left -= (int64_t)len < a->text_left ? (int64_t)len : a->text_left;
    (void)json_object_set_new(one, "text", clean);
    if (len < n)
        (void)json_object_set_new(one, "truncated", json_true());
}

static void add_picture(struct values *a, json_t *one, json_t *base64)
{
    const int64_t n = (int64_t)json_string_length(base64);

    if (json_array_size(a->content) == PICTURES_MAX || a->picture_bytes + n > PICTURES_BYTES) {
        a->left_out++;
        return;
    }
    a->picture_bytes += n;
    (void)json_array_append_new(a->content, json_pack("{s:s, s:O, s:O}", "type", "image", "data", base64,
                                                      "mimeType", json_object_get(one, "type")));
    (void)json_object_set_new(one, "content_index", json_integer((json_int_t)json_array_size(a->content)));
}

void values_add(struct values *a, const json_t *values)
{
    const json_t *plain = NULL;
    json_t *v;
    size_t i;

    json_array_foreach(values, i, v)
    {
        const char *type = json_string_value(json_object_get(v, "type"));
        json_t *text = json_object_get(v, "text"), *base64 = json_object_get(v, "base64");
        const bool is_plain = type && strcmp(type, "text/plain") == 0;
        /* What a number or a list looks like in JSON says nothing new. */
        if (text && !is_plain && plain && json_equal(plain, text))
            continue;
        plain = is_plain ? text : plain;
        if (json_array_size(a->values) == VALUES_MAX) {
            a->left_out++;
            continue;
        }
        json_t *one = json_pack("{s:s, s:I}", "type", type ? type : "", "bytes",
                                (json_int_t)json_integer_value(json_object_get(v, "bytes")));
        if (text)
            add_text(a, one, text, is_plain);
        else if (base64)
            add_picture(a, one, base64);
        else
            a->left_out++;
        (void)json_array_append_new(a->values, one);
    }
}

void values_words(int64_t left_out, char ret[VALUES_WORDS])
{
    ret[0] = '\0';
    if (left_out)
        (void)snprintf(ret, VALUES_WORDS, "%lld values were too many or too large for the answer. ",
                       (long long)left_out);
}

/* --- a reply -------------------------------------------------------------------------------------------- */

/* One frame at p, of at most n bytes: how many it has; 0: there is none, or it is none of a value. */
static size_t take_frame(const char *p, size_t n, json_t *values)
{
    struct cells_head h;
    struct cells_value v;

    if (n < CELLS_SAY_SIZE || cells_head(p, &h) < 0 || (h.kind != 'V' && h.kind != 'O') ||
        h.size > n - CELLS_SAY_SIZE || cells_value(h.kind, p + CELLS_SAY_SIZE, h.size, &v) < 0)
        return 0;
    json_t *one = json_pack("{s:s, s:I}", "type", v.type, "bytes", (json_int_t)v.size);
    if (h.kind == 'V' && cells_is_text(v.type))
        (void)json_object_set_new(one, "text", text_json(v.data, v.size, OUTPUT_INLINE_MAX));
    else if (h.kind == 'V' && cells_is_picture(&v) && v.size <= PICTURES_BYTES / 4 * 3)
        (void)json_object_set_new(one, "base64", text_base64(v.data, v.size));
    (void)json_array_append_new(values, one);
    return CELLS_SAY_SIZE + h.size;
}

json_t *values_of_reply(const char *p, size_t n)
{
    json_t *values = json_array();
    size_t used;

    while (json_array_size(values) < REPLY_VALUES && (used = take_frame(p, n, values)) > 0) {
        p += used;
        n -= used;
    }
    return values;
}
