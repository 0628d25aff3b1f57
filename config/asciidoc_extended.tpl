{#- AutoFlow's template for reports: text, plots and tables as a reader expects them; code where a cell's
    tags or the output's `code` ask for it, and behind a switch on pages that can have one.
    Give a notebook's output a template of its own in workflows.yml to replace it; such a template may
    extend this one ('asciidoc_extended.tpl') or nbconvert's ('asciidoc/index.asciidoc.j2'). -#}
{%- extends 'asciidoc/index.asciidoc.j2' -%}

{%- block any_cell scoped -%}
{#- tells where a cell begins -#}
{%- if (cell.metadata.autoflow or {}).number -%}
{{ "\n\n//autoflow-cell " ~ cell.metadata.autoflow.number ~ "\n\n" }}
{%- endif -%}
{{ super() }}
{%- endblock any_cell -%}

{%- block input -%}
{%- set input = (cell.metadata.autoflow or {}).input -%}
{%- if input == 'shown' and cell.source -%}
{{ "\n\n" }}{{ cell.source | source_block }}{{ "\n\n" }}
{%- elif input == 'folded' and cell.source -%}
{{ "\n\nifdef::backend-html5[]\n[.code]\n--\n" }}{{ cell.source | source_block }}{{ "\n--\nendif::[]\n\n" }}
{%- endif -%}
{%- endblock input -%}

{%- block output_group -%}
{%- block outputs scoped -%}
{%- for output in cell.outputs -%}
{%- block output scoped -%}{{ super() }}{%- endblock output -%}
{%- endfor -%}
{%- endblock outputs -%}
{%- endblock output_group -%}

{%- block error -%}{%- endblock error -%}
{%- block traceback_line -%}{%- endblock traceback_line -%}

{%- block stream -%}
{{ "\n\n" }}{{ output.text | literal_block }}{{ "\n\n" }}
{%- endblock stream -%}

{%- block data_svg -%}
{{ "\n\n" ~ (output.metadata.autoflow.title or "") }}image::{{ output.metadata.filenames['image/svg+xml'] | path2url }}[{{ output.metadata.autoflow.attributes }}]{{ "\n\n" }}
{%- endblock data_svg -%}

{%- block data_png -%}
{{ "\n\n" ~ (output.metadata.autoflow.title or "") }}image::{{ output.metadata.filenames['image/png'] | path2url }}[{{ output.metadata.autoflow.attributes }}]{{ "\n\n" }}
{%- endblock data_png -%}

{%- block data_jpg -%}
{{ "\n\n" ~ (output.metadata.autoflow.title or "") }}image::{{ output.metadata.filenames['image/jpeg'] | path2url }}[{{ output.metadata.autoflow.attributes }}]{{ "\n\n" }}
{%- endblock data_jpg -%}

{%- block data_html scoped -%}
{{ "\n\n" }}{{ output.data['text/html'] | html2asciidoc }}{{ "\n\n" }}
{%- endblock data_html -%}

{%- block data_markdown scoped -%}
{{ "\n\n" }}{{ output.data['text/markdown'] | markdown2asciidoc }}{{ "\n\n" }}
{%- endblock data_markdown -%}

{%- block data_latex -%}
{{ "\n\n" }}{{ output.data['text/latex'] | markdown2asciidoc }}{{ "\n\n" }}
{%- endblock data_latex -%}

{%- block data_text scoped -%}
{{ "\n\n" }}{{ output.data['text/plain'] | literal_block }}{{ "\n\n" }}
{%- endblock data_text -%}

{%- block markdowncell scoped -%}
{{ "\n\n" }}{{ cell.source | markdown2asciidoc }}{{ "\n\n" }}
{%- endblock markdowncell -%}

{%- block unknowncell scoped -%}{%- endblock unknowncell -%}
