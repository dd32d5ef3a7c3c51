"""The kinds of defects that are planted, and what real extracts they come from.

A kind that is not listed here cannot be planted, and a test asserts that each one is.
"""

from __future__ import annotations

from collections.abc import Mapping

DEFECTS: Mapping[str, str] = {
    # rows that a blocking rule must keep out
    "bad_format": "a code that does not have its form",
    "duplicate_key": "a record delivered twice",
    "excel_damaged_id": "a citizen number that Excel took for a float: 9.90102E+17",
    "fee_does_not_add_up": "parts that differ from their total",
    "id_birth": "a citizen number whose birth date does not exist",
    "id_checksum": "a citizen number with a wrong check character",
    "missing_conditional": "a value that another column's value makes necessary",
    "missing_required": "a null token in a required column",
    "mojibake": "GBK bytes read as Latin-1, or replacement characters, in a name",
    "old_area_code": "an area code after the date on which it ended",
    "out_of_range": "a value that cannot be",
    "sentinel": "9999 or -99 for a reading that an instrument did not take",
    "times_out_of_order": "an end before its beginning",
    "unit_mixed_up": "µg/m³ in a column of mg/m³",
    "unknown_code": "a code that is in no list",
    "unreadable_date": "a day that does not exist",
    "unreadable_number": "words where a number is due",
    "unreadable_phone": "a telephone number that is none",
    "uscc_checksum": "a credit code with a wrong check character",
    # rows that stay, with a warning
    "birth_differs_from_id": "a birth date that contradicts the citizen number",
    "group_count_differs": "a group heading that states another number of rows",
    "pm10_below_pm25": "PM10 below PM2.5",
    "promise_above_limit": "a promised limit longer than the statutory one",
    "sex_differs_from_id": "a sex that contradicts the citizen number",
    "teachers_above_students": "more teachers than students",
    "total_differs": "a 合计 row that is not the sum of its column",
    # records that are no rows
    "group_heading": "a heading row over a group: 云港区（84所）",
    "invalid_json": "a line that is no JSON object",
    "note": "a note under the table",
    "nul_byte": "a NUL byte in a record",
    "ragged_row": "too many or too few fields, as an unquoted 5,000(万美元) makes them",
    "total_row": "a 合计 row",
    "undecodable": "bytes that the file's encoding does not know",
    # dirt that must be read without complaint
    "chinese_year": "a year in Chinese digits: 二〇一二年",
    "date_spelling": "another spelling of a date or time",
    "dropped_letter": "an industry code without its letter or leading zero",
    "full_width_digits": "digits as a Chinese input method writes them",
    "hour_24": "24:00 for the next day's midnight",
    "inner_blanks": "blanks inside a name or number",
    "line_break_in_cell": "a line break inside a quoted cell",
    "lower_case": "a credit code in lower case, with a blank before it",
    "lower_case_x": "a citizen number that ends in a small x",
    "magnitude": "1.2万 for 12,000",
    "name_for_code": "an area's name where its code is due",
    "number_as_text": "a code that went through a float: 9901020001.0",
    "old_15_digit_id": "a citizen number from before 1999",
    "old_13_digit_regno": "a still older registration number in the credit code's column",
    "old_15_digit_regno": "a registration number in the credit code's column",
    "old_certificate": "a certificate's number in words in the credit code's column",
    "old_organisation_code": "a nine-character organisation code in the credit code's column",
    "padding": "blanks around a value",
    "placeholder": "N/A, — or 无 for no value",
    "renamed_header": "a header that the department renamed",
    "sex_spelling": "M, 2 or 男 for the same thing",
    "thousands": "1,234.50 with a thousands comma",
    "unit_in_value": "50(万美元): the unit beside the figure",
    "year_spelling": "2012年 for a year",
    "yes_no_spelling": "Y, 1 or true for 是",
}
