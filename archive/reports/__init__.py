"""Reports: figures of a period as tables, and the files and mails people take them away in.

    period      which days, and which ones are over
    report      columns, rows and sums: what every form of a report is made from
    making      a report for somebody, from the figures of `archive.catalogue.figures`
    words       what columns are called, in Dutch and in English
    spreadsheet CSV and XLSX
    sheet       PDF

Rules: every form has the same numbers, because it is made from the same `Report`.
"""
