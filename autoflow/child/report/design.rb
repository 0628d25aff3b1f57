# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
#
# How the pages of a PDF are laid out, where asciidoctor-pdf leaves it to chance: what leads in a picture or a
# table stands with it, a table is broken rather than leave much of a page blank, the first page has a masthead
# and no running head, and a file says what language it is in.
#
# Heights are computed or measured once, and nothing is drawn twice.

require 'asciidoctor/pdf'
require 'zlib'

module AutoFlow
  module Design
    # the part of a page that may stay blank before a table
    BLANK = 0.25
    # points of a text that begins a page's last lines, or of a block that nothing is known of
    LEAST = 45
    LONGEST_LEAD_IN = 300
    MASTHEAD = 34
    ABOVE = %i[document section preamble].freeze
    SVG_BOX = /\sviewBox="\s*[-\d.]+[\s,]+[-\d.]+[\s,]+([\d.]+)[\s,]+([\d.]+)/
    SVG_SIZE = /\swidth="([\d.]+)\w*"[^>]*\sheight="([\d.]+)|\sheight="([\d.]+)\w*"[^>]*\swidth="([\d.]+)/

    def convert_document(doc)
      super.tap { catalog.data[:Lang] = PDF::Core::LiteralString.new(doc.attr('lang')) if doc.attr?('lang') }
    end

    def build_pdf_info(doc)
      own = { Author: 'report-organisation', Subject: 'report-subject', Keywords: 'report-keywords' }
      own = own.transform_values { |name| said(doc, name) }.reject { |_, text| text.empty? }
      super.merge(own.transform_values { |text| sanitize(text).as_pdf })
    end

    def convert_section(node, opts = {})
      turn_before(node.blocks.first)
      super
    end

    def arrange_heading(node, title, opts)
      following = node.context == :section ? node.blocks.first : next_to(node)
      stay(heading_height(title, opts[:level]) + needed(following)) if following
      super unless at_page_top?
    end

    def convert_paragraph(node, opts = nil)
      if !opts && lead_in?(node)
        turn_before(node)
        stay(needed(node))
      end
      super
    end

    def convert_open(node)
      return super unless (table = table_of(node))

      stay(needed(table))
      node.remove_attr('unbreakable-option')
      super
    end

    def convert_table(node)
      stay(needed(node)) if ABOVE.include?(node.parent.context) && !@measuring
      super
    end

    def convert_page_break(node)
      super unless node.attr?('autoflow-turned')
    end

    def ink_general_heading(node, title, opts = {})
      ink_masthead(node.document) if opts[:role] == :doctitle && !scratch?
      super
    end

    def ink_running_content(periphery, doc, skip = [1, 1], *rest)
      before = @theme[%(#{periphery}_start_at)].to_i - 1
      super(periphery, doc, [[skip[0], before].max, skip[1]], *rest) if before < page_count
    end

    private

    # Go to the next page where a height does not fit here, and does there.
    def stay(height)
      advance_page if height > cursor && height <= bounds.height && !at_page_top?
    end

    # Turn the page before what leads in a table that is printed sideways.
    def turn_before(node)
      node = next_to(node) while node && lead_in?(node)
      return unless turning?(node) && !scratch?

      convert_page_break(node)
      node.set_attr('autoflow-turned', '')
    end

    def turning?(node)
      node&.context == :page_break && node.attr?('page-layout', 'landscape') && !node.attr?('autoflow-turned')
    end

    def next_to(node)
      siblings = node.parent.blocks
      (place = siblings.index(node)) && siblings[place + 1]
    end

    # Tell whether a paragraph leads in what follows it.
    def lead_in?(node)
      return false unless node.context == :paragraph && ABOVE.include?(node.parent.context)
      return false if node.source.length > LONGEST_LEAD_IN || !(following = next_to(node))
      return true if %i[image table].include?(following.context) || table_of(following) || turning?(following)

      %i[ulist olist dlist literal listing stem].include?(following.context) && node.source.rstrip.match?(/(:|&#58;)\z/)
    end

    # Find the one table of a block that is there to keep it whole.
    def table_of(node)
      node.blocks.first if node.context == :open && node.option?('unbreakable') && node.blocks.map(&:context) == [:table]
    end

    # Compute what has to be on the page that a block begins on.
    def needed(node)
      case node&.context
      when :section then heading_height(node.title, node.level.next) + needed(node.blocks.first)
      when :paragraph then lead_in?(node) ? height_of(node) + needed(next_to(node)) : LEAST
      when :image then image_height(node)
      when :table then table_needed(node)
      when :open then needed(table_of(node))
      else LEAST
      end
    end

    def table_needed(node)
      enough = BLANK * bounds.height
      # not worth to be measured
      return enough if node.rows.body.size * LEAST / 3 > enough

      [height_of(node), enough].min
    end

    # Measure a block, at the top of a page; once.
    def height_of(node)
      @heights ||= {}.compare_by_identity
      @heights[node] ||= begin
        doc = node.document
        extent = dry_run(keep_together: true) do
          push_scratch(doc)
          # the document that is drawn on here is another one
          @measuring = true
          node.context == :table ? convert_table(node) : ink_lead_in(node)
        ensure
          @measuring = false
          pop_scratch(doc)
        end
        extent.single_page_height || bounds.height
      end
    end

    def ink_lead_in(node)
      ink_prose(node.content, margin_bottom: 0)
      theme_margin(:prose, :bottom, true)
    end

    def heading_height(title, level)
      theme_font(:heading, level: level) do
        margins = %w[top bottom].sum { |side| @theme[%(heading_h#{level}_margin_#{side})] || @theme[%(heading_margin_#{side})] || 0 }
        margins + height_of_typeset_text(title, inline_format: true, text_transform: @text_transform)
      end
    end

    def image_height(node)
      target, format = node.extend(Asciidoctor::Image).target_and_format
      path = node.normalize_system_path(target)
      width, height = format == 'svg' ? svg_size(path) : intrinsic_image_dimensions(path, format).values_at(:width, :height)
      return LEAST unless width&.positive? && height&.positive?

      shown = resolve_explicit_width(node.attributes, bounds_width: bounds.width, use_fallback: true, constrain_to_bounds: true)
      shown = [width, bounds.width].min unless shown.is_a?(Numeric)
      [shown * height / width + (node.title? ? 25 : 0), bounds.height].min
    end

    def svg_size(path)
      root = File.read(path, 4096, mode: 'r:UTF-8').scrub[/<svg[^>]*>/] || ''
      size = root.match(SVG_BOX)&.captures || root.match(SVG_SIZE)&.captures&.then { |w, h, other_h, other_w| [w || other_w, h || other_h] }
      size&.map(&:to_f)
    rescue SystemCallError
      nil
    end

    # Read an attribute, in which asciidoctor has escaped the ampersands of character references.
    def said(doc, name)
      doc.attr(name).to_s.gsub('&amp;', '&')
    end

    def ink_masthead(doc)
      name = said(doc, 'report-organisation')
      logo = sanitize(said(doc, 'report-logo'))
      return if name.empty? && logo.empty?

      room = logo.empty? ? 0 : ink_logo(logo) + 12
      theme_font_cascade([:role_organisation]) do
        height = name.empty? ? 0 : indent(0, room) { height_of_typeset_text(name, inline_format: true) }
        float do
          move_down([(MASTHEAD - height) / 2, 0].max) unless logo.empty?
          indent(0, room) { ink_prose(name, margin: 0, align: :left) }
        end unless name.empty?
        move_down([logo.empty? ? 0 : MASTHEAD, height].max + 8)
      end
      stroke_horizontal_rule(resolve_theme_color(:header_border_color, 'DDDDDD'), line_width: 0.5)
      move_down(16)
    end

    # Draw a logo on the right, one of few dots no larger than they are, and give its width.
    def ink_logo(path)
      drawing = path.end_with?('.svg')
      width, height = (drawing ? svg_size(path) : intrinsic_image_dimensions(path, path[/\w+$/]).values_at(:width, :height)) || [3, 1]
      scale = [bounds.width * 0.4 / width, MASTHEAD / height.to_f, drawing ? nil : 1].compact.min
      shown = { position: :right, width: width * scale }
      float { drawing ? svg(File.read(path, mode: 'r:UTF-8'), **shown) : image(path, **shown) }
      width * scale
    end
  end
end

# A drawing is marked on its page by a checksum of its file, for the check that follows.
module AutoFlow
  module Drawings
    def draw
      checksum = Zlib.crc32(data.gsub(/\r\n?/, "\n")) % (1 << 31)
      prawn.add_content("/Drawing <</Checksum #{checksum} /Number #{object_id % (1 << 31)}>> BDC")
      super.tap { prawn.add_content('EMC') }
    end
  end
end

Asciidoctor::PDF::Converter.prepend(AutoFlow::Design)
Prawn::SVG::Interface.prepend(AutoFlow::Drawings)
