-- This Source Code Form is subject to the terms of the Mozilla Public
-- License, v. 2.0. If a copy of the MPL was not distributed with this
-- file, You can obtain one at https://mozilla.org/MPL/2.0/.
-- What pandoc does differently for reports: formulas become the names of pictures that are drawn
-- later, pictures are named so that nothing else looks like one, those written as HTML are kept, and
-- links within a notebook find their headings.

local function hex(text)
  return (text:gsub('.', function(character) return string.format('%02x', character:byte()) end))
end

function Math(math)
  local kind = math.mathtype == 'DisplayMath' and 'display' or 'inline'
  return pandoc.Image({}, 'autoflow-math-' .. kind .. '-' .. hex(math.text))
end

local function named(source)
  return 'autoflow-picture-' .. hex(source)
end

function Image(image)
  if image.src:sub(1, 9) ~= 'autoflow-' then
    image.src = named(image.src)
    return image
  end
end

local function picture(raw)
  if raw.format ~= 'html' then return nil end
  local tag = raw.text:match('<[iI][mM][gG]%s[^>]*>')
  if not tag then return nil end
  local source = tag:match('%ssrc%s*=%s*"([^"]*)"') or tag:match("%ssrc%s*=%s*'([^']*)'")
  return source and pandoc.Image({}, named(source))
end

RawInline = picture

function RawBlock(raw)
  local found = picture(raw)
  return found and pandoc.Para({found})
end

-- pandoc escapes a brace where asciidoctor would show the escape, and a bar in a table nowhere
local function replaced(text, character, name)
  if not text:find(character, 1, true) then return nil end
  local parts = {}
  for piece, found in text:gmatch('([^' .. character .. ']*)(' .. character .. '?)') do
    if piece ~= '' then table.insert(parts, pandoc.Str(piece)) end
    if found ~= '' then table.insert(parts, pandoc.RawInline('asciidoc', name)) end
  end
  return parts
end

function Str(str)
  return replaced(str.text, '{', '&#123;')
end

function Table(block)
  return pandoc.walk_block(block, {
    Str = function(str) return replaced(str.text, '|', '{vbar}') end,
    Code = function(code)
      if code.text:find('|', 1, true) then
        return pandoc.RawInline('asciidoc', '`' .. code.text:gsub('|', '{vbar}') .. '`')
      end
    end,
  })
end

function Link(link)
  if link.target:sub(1, 1) == '#' then
    link.target = link.target:lower()
    return link
  end
end
