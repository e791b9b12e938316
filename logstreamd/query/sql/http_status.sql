-- status --
-- Where the HTTP status of a row is looked for; the first place that has one counts.
--   1. Fields of these names, as a number or a text: on top, with dots in the name, in an object on top (response.status, structured
--      data). All their values are looked at in one go.
--   2. Behind a quoted request, as in access-log lines: "GET / HTTP/1.1" 404 123
--   3. HTTP/1.1 404, HTTP 404
--   4. status=404, "status": 404, http_status: 404, status code 404
-- Several simple patterns take 2 us a row, one for all of it 13.
coalesce(
    CASE WHEN attrs IS NOT NULL THEN substring(
        concat_ws('|', attrs ->> 'status', attrs ->> 'status_code', attrs ->> 'statusCode', attrs ->> 'StatusCode',
                  attrs ->> 'http_status', attrs ->> 'http_status_code', attrs ->> 'httpStatus', attrs ->> 'response_code',
                  attrs ->> 'http.status', attrs ->> 'http.status_code', attrs ->> 'http.response.status_code',
                  attrs ->> 'response.status', attrs ->> 'response.status_code', attrs #> '{http,response,status_code}',
                  jsonb_path_query_array(attrs, '$.*.status'), jsonb_path_query_array(attrs, '$.*.status_code'),
                  jsonb_path_query_array(attrs, '$.*.statusCode'))
        COLLATE "C" FROM '(?:^|[|\["]|, )([1-5][0-9]{2})(?:[.]0+)?(?=$|[]|", ])') END,
    substring(message COLLATE "C" FROM '" ([1-5][0-9]{2})(?: [0-9A-Z-]|$)'),
    CASE WHEN strpos(message, 'HTTP') > 0
         THEN substring(message COLLATE "C" FROM '\mHTTP(?:/[0-9.]+)? ([1-5][0-9]{2})(?!\w|[.][0-9])') END,
    CASE WHEN strpos(lower(message COLLATE "C"), 'status') > 0 THEN substring(lower(message COLLATE "C")
         FROM 'status(?:[_. ]?code)?(?:["'']?\s*[=:]\s*["'']?|\s)([1-5][0-9]{2})(?!\w|[.][0-9])') END
)::smallint

-- may_be_bad --
-- Whether the expression above can be 400 or more; false and NULL are certain. It takes a third of the time, as most rows have none of
-- the words and few of the others such a number behind it. Wherever a number stands in a field, its text in the document has one of
-- these characters in front of it.
CASE WHEN strpos(attrs::text, 'tatus') > 0 OR attrs ? 'response_code'
     THEN attrs::text COLLATE "C" ~ '[] "[|][45][0-9]{2}[^0-9]' END
OR message COLLATE "C" LIKE '%" 4%'
OR message COLLATE "C" LIKE '%" 5%'
OR CASE WHEN strpos(message, 'HTTP') > 0 THEN message COLLATE "C" ~ 'HTTP[/0-9.]* [45]' END
OR CASE WHEN strpos(lower(message COLLATE "C"), 'status') > 0 THEN lower(message COLLATE "C") ~ 'status[^0-9]*[45]' END
